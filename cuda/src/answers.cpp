#include "answers.h"
#include "events.h"
#include "logprobs.h"
#include "tool-calls.h"

#include "server-chat.h"

namespace nrn {

static void push(const request & request, uint32_t kind, const std::string & payload) {
    event_ring::get().push(kind, request.id, NRN_OK, payload);
}

// ---- figures ----

totals count_tokens(const request & request) {
    totals sum;
    for (size_t i = 0; i < request.choices.size(); i++) {
        const outcome & ended = request.choices[i].ended;
        /* The n answers of one prompt share it: count it once. */
        if (i % request.answers_per_prompt == 0) {
            sum.prompt += ended.prompt_tokens;
            sum.cached += ended.cached_tokens;
        }
        sum.completion += ended.completion_tokens;
        sum.reasoning += ended.reasoning_tokens;
    }
    return sum;
}

json usage_json(const totals & sum) {
    json usage = {
        { "prompt_tokens", sum.prompt },
        { "completion_tokens", sum.completion },
        { "total_tokens", sum.prompt + sum.completion },
        { "prompt_tokens_details", { { "cached_tokens", sum.cached } } },
    };
    if (sum.reasoning > 0) {
        usage["completion_tokens_details"] = json{ { "reasoning_tokens", sum.reasoning } };
    }
    return usage;
}

/* The string of the client's that ended an answer, as JSON. */
static std::string stop_reason(const choice & answer) {
    std::string text;
    if (answer.stops.hit()) {
        append_json_string(text, answer.stops.stop());
        return text;
    }
    return "null";
}

static const char * finish_reason(const request & request, const choice & answer) {
    if (answer.ended.cut) {
        return "length";
    }
    const bool called = request.kind == NRN_SUBMIT_CHAT && !answer.plain && !answer.stops.hit() &&
                        !answer.state->chat_msg.tool_calls.empty();
    return called ? "tool_calls" : "stop";
}

json cortex_json(const request & request, const totals & sum) {
    const choice & first = request.choices[0];
    json stop_sequence = nullptr;
    if (first.stops.hit()) {
        stop_sequence = first.stops.stop();
    }
    const server_slot_stats & stats = first.ended.stats;
    uint64_t drafted = 0;
    uint64_t accepted = 0;
    for (const choice & each : request.choices) {
        drafted += each.ended.stats.n_draft_tokens;
        accepted += each.ended.stats.n_draft_accepted;
    }
    return json{
        { "usage", usage_json(sum) },
        { "drafted_tokens", drafted },
        { "accepted_tokens", accepted },
        { "finish_reason", finish_reason(request, first) },
        { "stop_sequence", stop_sequence },
        { "queue_ms", stats.is_set()
                          ? std::max<int64_t>(0, stats.t_start - request.submitted_us) / 1000.0
                          : 0.0 },
        { "prefill_ms", stats.t_prompt_ms() },
        { "decode_ms", stats.t_gen_ms() },
        { "truncated", first.ended.truncated },
    };
}

// ---- chunks ----

std::string chunk_head(const request & request, size_t index) {
    const bool chat = request.kind == NRN_SUBMIT_CHAT;
    std::string head = "{\"id\":";
    append_json_string(head, request.completion_id);
    head += chat ? ",\"object\":\"chat.completion.chunk\",\"created\":"
                 : ",\"object\":\"text_completion\",\"created\":";
    head += std::to_string(request.created) + ",\"model\":";
    append_json_string(head, request.owner->name);
    head +=
        ",\"choices\":[{\"index\":" + std::to_string(index) + (chat ? ",\"delta\":" : ",\"text\":");
    return head;
}

/* What is known of the tokens that wait, in the request's shape; "" when there is nothing to say.
 */
static std::string take_logprobs(const request & request, choice & answer) {
    if (request.top_logprobs < 0 || answer.waiting_tokens.empty()) {
        return "";
    }
    const std::string text =
        request.kind == NRN_SUBMIT_CHAT
            ? chat_logprobs(answer.waiting_tokens)
            : completion_logprobs(answer.waiting_tokens, request.top_logprobs, answer.text_offset);
    answer.waiting_tokens.clear();
    return text;
}

/* The counts of the prompt, for the first chunk of a request that asked for them; then "". */
static std::string take_prompt_usage(request & request, const choice & answer) {
    if (!request.prompt_usage) {
        return "";
    }
    request.prompt_usage = false;
    const totals prompt{ answer.ended.prompt_tokens, answer.ended.cached_tokens, 0, 0 };
    return ",\"usage\":" + usage_json(prompt).dump();
}

static void push_delta(
    request & request, choice & answer, const std::string & delta, const std::string & logprobs) {
    std::string chunk;
    chunk.reserve(answer.head.size() + delta.size() + logprobs.size() + 48);
    chunk += answer.head;
    chunk += delta;
    if (!logprobs.empty()) {
        chunk += ",\"logprobs\":";
        chunk += logprobs;
    } else if (request.kind == NRN_SUBMIT_COMPLETION) {
        chunk += ",\"logprobs\":null";
    }
    chunk += ",\"finish_reason\":null}]";
    if (request.prompt_usage) {
        chunk += take_prompt_usage(request, answer);
    }
    chunk += '}';
    push(request, NRN_EVENT_CHUNK, chunk);
}

static void push_role(request & request, choice & answer, bool has_text) {
    if (!answer.role_sent && request.kind == NRN_SUBMIT_CHAT) {
        push_delta(request, answer,
            has_text ? "{\"role\":\"assistant\",\"content\":\"\"}"
                     : "{\"role\":\"assistant\",\"content\":null}",
            "");
    }
    answer.role_sent = true;
}

// ---- text, reasoning and calls, on their way out ----

/* Text that no stop string can take back. */
static void emit_text(request & request, choice & answer, const std::string & text) {
    if (text.empty() || request.calls_only) {
        return; /* some formats have white space around calls */
    }
    if (!request.stream) {
        answer.content += text;
        return;
    }
    push_role(request, answer, true);
    const bool chat = request.kind == NRN_SUBMIT_CHAT;
    std::string delta = chat ? "{\"content\":" : "";
    append_json_string(delta, text);
    delta += chat ? "}" : "";
    /* Tokens whose text is held back wait with it. */
    push_delta(request, answer, delta,
        answer.stops.withheld() > 0 ? std::string() : take_logprobs(request, answer));
}

static void take_text(request & request, choice & answer, const std::string & text) {
    if (answer.stops.active()) {
        emit_text(request, answer, answer.stops.take(text));
    } else {
        emit_text(request, answer, text);
    }
}

static void emit_reasoning(request & request, choice & answer, const std::string & text) {
    if (!request.stream) {
        answer.reasoning += text;
        return;
    }
    push_role(request, answer, false);
    std::string delta = "{\"reasoning_content\":";
    append_json_string(delta, text);
    push_delta(request, answer, delta + "}", take_logprobs(request, answer));
}

/* A call begins with its id, its name and no arguments yet, as OpenAI's does. */
static std::string call_head(const common_chat_msg_diff & diff) {
    std::string head = "{\"tool_calls\":[{\"index\":" + std::to_string(diff.tool_call_index);
    head += ",\"id\":";
    append_json_string(head, diff.tool_call_delta.id);
    head += ",\"type\":\"function\",\"function\":{\"name\":";
    append_json_string(head, diff.tool_call_delta.name);
    return head + ",\"arguments\":\"\"}}]}";
}

/* Of whole answers the parser's own message has the calls. */
static void emit_call(request & request, choice & answer, common_chat_msg_diff diff) {
    if (!request.stream) {
        return;
    }
    push_role(request, answer, false);
    if (!diff.tool_call_delta.name.empty()) {
        diff.tool_call_delta.id = call_id(answer, diff.tool_call_index, diff.tool_call_delta.id);
        push_delta(request, answer, call_head(diff), "");
        diff.tool_call_delta.id.clear();
        diff.tool_call_delta.name.clear();
        if (diff.tool_call_delta.arguments.empty()) {
            return;
        }
    }
    push_delta(request, answer, server_chat_msg_diff_to_json_oaicompat(diff).dump_safe(),
        take_logprobs(request, answer));
}

static void take_diffs(
    request & request, choice & answer, const std::vector<common_chat_msg_diff> & diffs) {
    for (const common_chat_msg_diff & diff : diffs) {
        if (!diff.reasoning_content_delta.empty()) {
            emit_reasoning(request, answer, diff.reasoning_content_delta);
        }
        if (!diff.content_delta.empty()) {
            take_text(request, answer, diff.content_delta);
        }
        if (answer.stops.hit()) {
            return;
        }
        if (diff.tool_call_index != std::string::npos) {
            /* What looked like a stop string's beginning ends where a call begins. */
            emit_text(request, answer, answer.stops.finish());
            emit_call(request, answer, diff);
        }
    }
}

/* The parser of a format that no grammar held to may fail half way: what it makes of more text is
 * awaited. */
static void update_partial(choice & answer, server_task_result_cmpl_partial & result) {
    const common_chat_msg before = answer.state->chat_msg;
    try {
        result.update(*answer.state);
    } catch (const std::exception & e) {
        log_line(log_level::debug, std::string("an answer does not parse yet: ") + e.what());
        answer.state->chat_msg = before;
        result.oaicompat_msg_diffs.clear();
    }
}

/* An answer that does not parse in the end is text: the model wrote it, and the client must have
 * it. */
static void update_final(choice & answer, server_task_result_cmpl_final & result) {
    const common_chat_msg before = answer.state->chat_msg;
    try {
        result.update(*answer.state);
    } catch (const std::exception & e) {
        log_line(log_level::debug, std::string("an answer does not parse: ") + e.what());
        const std::string & text = answer.state->generated_text;
        common_chat_msg whole = before;
        whole.role = "assistant";
        if (whole.tool_calls.empty()) {
            const bool begun = text.compare(0, before.content.size(), before.content) == 0;
            whole.content = begun ? text : before.content + text;
        }
        answer.state->chat_msg = whole;
        result.is_updated = true;
        result.oaicompat_msg = whole;
        result.oaicompat_msg_diffs = common_chat_msg_diff::compute_diffs(before, whole);
    }
}

// ---- the end of an answer ----

/* Tokens that lie wholly behind the cut are no part of the answer. */
static void drop_withheld_tokens(choice & answer) {
    size_t bytes = answer.stops.withheld();
    auto & tokens = answer.waiting_tokens;
    while (!tokens.empty() && tokens.back().text.size() <= bytes) {
        bytes -= tokens.back().text.size();
        tokens.pop_back();
    }
}

/* Counted from the text, since a whole answer does not tell its tokens apart; its tags are not counted. */
static int64_t count_reasoning(const request & request, const choice & answer) {
    if (answer.plain || answer.state->chat_msg.reasoning_content.empty()) {
        return 0;
    }
    const int64_t count = common_tokenize(
        request.owner->view->vocab, answer.state->chat_msg.reasoning_content, false, true)
                              .size();
    return std::min(count, answer.ended.completion_tokens);
}

static void end_answer(request & request, choice & answer) {
    answer.ended.reasoning_tokens = count_reasoning(request, answer);
    if (answer.stops.hit()) {
        drop_withheld_tokens(answer);
    }
    answer.logprobs = request.stream ? "" : take_logprobs(request, answer);
    if (!request.stream) {
        return;
    }
    push_role(request, answer, !request.calls_only);
    const std::string logprobs = take_logprobs(request, answer);
    const bool chat = request.kind == NRN_SUBMIT_CHAT;
    std::string chunk = answer.head;
    chunk += chat ? "{}" : "\"\"";
    if (!logprobs.empty()) {
        chunk += ",\"logprobs\":" + logprobs;
    } else if (!chat) {
        chunk += ",\"logprobs\":null";
    }
    chunk += std::string(",\"finish_reason\":\"") + finish_reason(request, answer) +
             "\",\"stop_reason\":" + stop_reason(answer) + "}]";
    chunk += take_prompt_usage(request, answer) + "}";
    push(request, NRN_EVENT_CHUNK, chunk);
}

static void push_progress(const request & request, const result_prompt_progress & progress) {
    if (request.stream && progress.processed < progress.total &&
        progress.total - progress.cache > 256) {
        push(request, NRN_EVENT_PROGRESS,
            "{\"processed\":" + std::to_string(progress.processed) +
                ",\"total\":" + std::to_string(progress.total) + "}");
    }
}

static void take_probability(
    const request & request, choice & answer, const completion_token_output & token) {
    if (request.top_logprobs >= 0) {
        answer.waiting_tokens.push_back(
            probability_of(*request.owner, token, request.top_logprobs));
    }
}

bool take_partial(request & request, choice & answer, server_task_result_cmpl_partial & result) {
    if (result.is_begin) {
        return false;
    }
    if (result.is_progress) {
        push_progress(request, result.progress);
        return false;
    }
    outcome & ended = answer.ended;
    ended.prompt_tokens = result.n_prompt_tokens;
    ended.cached_tokens = result.n_prompt_tokens_cache;
    ended.completion_tokens = result.n_decoded;
    take_probability(request, answer, result.prob_output);
    if (answer.plain) {
        take_text(request, answer, result.content);
    } else {
        update_partial(answer, result);
        take_diffs(request, answer, result.oaicompat_msg_diffs);
    }
    if (!answer.stops.hit()) {
        return false;
    }
    ended.stats = result.stats;
    end_answer(request, answer);
    return true;
}

void take_final(request & request, choice & answer, server_task_result_cmpl_final & result) {
    outcome & ended = answer.ended;
    ended.prompt_tokens = result.n_prompt_tokens;
    ended.cached_tokens = result.n_prompt_tokens_cache;
    ended.completion_tokens = result.n_decoded;
    ended.stats = result.stats;
    ended.truncated = result.truncated;
    ended.cut = result.stop != STOP_TYPE_WORD && result.stop != STOP_TYPE_EOS;
    if (!result.stream) {
        for (const auto & token : result.probs_output) {
            take_probability(request, answer, token);
        }
        /* An answer that was cut within a character ends before it. */
        result.content.resize(validate_utf8(result.content));
    }
    if (answer.plain) {
        take_text(request, answer, result.content);
    } else {
        update_final(answer, result);
        take_diffs(request, answer, result.oaicompat_msg_diffs);
    }
    emit_text(request, answer, answer.stops.finish());
    if (answer.stops.hit()) {
        ended.cut = false;
    }
    end_answer(request, answer);
}

void push_usage(const request & request, const totals & sum) {
    const std::string & head = request.choices[0].head;
    push(request, NRN_EVENT_CHUNK,
        head.substr(0, head.find("\"choices\":[") + 11) + "],\"usage\":" + usage_json(sum).dump() +
            "}");
}

// ---- whole answers ----

static json message_json(const request & request, choice & answer) {
    common_chat_msg message;
    if (!answer.plain) {
        message = answer.state->chat_msg; /* for its calls */
    }
    message.role = "assistant";
    message.content = answer.content;
    message.content_parts.clear();
    message.reasoning_content = answer.reasoning;
    if (answer.stops.hit()) {
        message.tool_calls.clear();
    }
    for (size_t i = 0; i < message.tool_calls.size(); i++) {
        message.tool_calls[i].id = call_id(answer, i, message.tool_calls[i].id);
    }
    json shown = message.to_json_oaicompat();
    if (request.calls_only || (!message.tool_calls.empty() && message.content.empty())) {
        shown["content"] = nullptr;
    }
    return shown;
}

json whole_answer(request & request, const totals & sum) {
    const bool chat = request.kind == NRN_SUBMIT_CHAT;
    json choices = json::array();
    for (size_t i = 0; i < request.choices.size(); i++) {
        choice & answer = request.choices[i];
        json one = { { "index", i } };
        if (chat) {
            one["message"] = message_json(request, answer);
        } else {
            one["text"] = answer.content;
        }
        one["logprobs"] = answer.logprobs.empty() ? json(nullptr) : json::parse(answer.logprobs);
        one["finish_reason"] = finish_reason(request, answer);
        one["stop_reason"] = answer.stops.hit() ? json(answer.stops.stop()) : json(nullptr);
        choices.push_back(one);
    }
    return json{
        { "id", request.completion_id },
        { "object", chat ? "chat.completion" : "text_completion" },
        { "created", request.created },
        { "model", request.owner->name },
        { "choices", choices },
        { "usage", usage_json(sum) },
        { "cortex", cortex_json(request, sum) },
    };
}

} // namespace nrn
