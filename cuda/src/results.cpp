// The result thread: results of the server core become events here, so that no step waits for
// parsing or JSON.
#include "device.h"
#include "events.h"
#include "faults.h"
#include "tool-calls.h"

#include "server-chat.h"

namespace nrn {

void hand_over_results(device & self, const model_ptr & owner) {
    if (owner->step_results.empty()) {
        return;
    }
    self.result_backlog += owner->step_results.size();
    {
        std::lock_guard<std::mutex> lock(self.result_mutex);
        self.result_inbox.push_back({ owner, std::move(owner->step_results) });
    }
    owner->step_results.clear();
    self.result_wake.notify_one();
}

static void push(const request & request, uint32_t kind, const std::string & payload) {
    event_ring::get().push(kind, request.id, NRN_OK, payload);
}

static const char * finish_reason(const server_task_result_cmpl_final & result) {
    if (result.stop != STOP_TYPE_WORD && result.stop != STOP_TYPE_EOS) {
        return "length";
    }
    const bool chat = result.res_type == TASK_RESPONSE_TYPE_OAI_CHAT;
    return chat && !result.oaicompat_msg.tool_calls.empty() ? "tool_calls" : "stop";
}

static void push_delta(const request & request, const choice & answer, const std::string & delta,
    const std::string & logprobs) {
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
    chunk += ",\"finish_reason\":null}]}";
    push(request, NRN_EVENT_CHUNK, chunk);
}

static void push_role(const request & request, choice & answer, bool has_text) {
    if (!answer.role_sent && request.kind == NRN_SUBMIT_CHAT) {
        push_delta(request, answer,
            has_text ? "{\"role\":\"assistant\",\"content\":\"\"}"
                     : "{\"role\":\"assistant\",\"content\":null}",
            "");
    }
    answer.role_sent = true;
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

static void push_diffs(const request & request, choice & answer,
    const std::vector<common_chat_msg_diff> & diffs, const std::string & logprobs) {
    for (size_t i = 0; i < diffs.size(); i++) {
        common_chat_msg_diff diff = diffs[i];
        if (diff.tool_call_index != std::string::npos && !diff.tool_call_delta.name.empty()) {
            diff.tool_call_delta.id =
                call_id(answer, diff.tool_call_index, diff.tool_call_delta.id);
            push_role(request, answer, false);
            push_delta(request, answer, call_head(diff), "");
            diff.tool_call_delta.id.clear();
            diff.tool_call_delta.name.clear();
            if (diff.tool_call_delta.arguments.empty()) {
                continue;
            }
        }
        const bool text_only =
            diff.reasoning_content_delta.empty() && diff.tool_call_index == std::string::npos;
        push_role(request, answer, text_only);
        std::string delta;
        if (text_only) {
            delta = "{\"content\":";
            append_json_string(delta, diff.content_delta);
            delta += '}';
        } else {
            delta = server_chat_msg_diff_to_json_oaicompat(diff).dump_safe();
        }
        push_delta(request, answer, delta, i + 1 == diffs.size() ? logprobs : "");
    }
}

/* The parser of a format that no grammar held to may fail half way: what it makes of more text is awaited. */
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

/* An answer that does not parse in the end is text: the model wrote it, and the client must have it. */
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
    for (size_t i = 0; i < result.oaicompat_msg.tool_calls.size(); i++) {
        auto & call = result.oaicompat_msg.tool_calls[i];
        call.id = call_id(answer, i, call.id);
    }
}

static void render_partial(
    const request & request, choice & answer, server_task_result_cmpl_partial & result) {
    if (result.is_begin) {
        return;
    }
    if (result.is_progress) {
        const auto & progress = result.progress;
        if (progress.processed < progress.total && progress.total - progress.cache > 256) {
            push(request, NRN_EVENT_PROGRESS,
                "{\"processed\":" + std::to_string(progress.processed) +
                    ",\"total\":" + std::to_string(progress.total) + "}");
        }
        return;
    }
    std::string logprobs;
    if (!result.prob_output.probs.empty()) {
        logprobs = json{
            { "content", completion_token_output::probs_vector_to_json(
                             { result.prob_output }, result.post_sampling_probs) }
        }.dump_safe();
    }
    if (answer.plain) {
        if (!result.content.empty()) {
            const bool chat = request.kind == NRN_SUBMIT_CHAT;
            push_role(request, answer, true);
            std::string text = chat ? "{\"content\":" : "";
            append_json_string(text, result.content);
            text += chat ? "}" : "";
            push_delta(request, answer, text, logprobs);
        }
        return;
    }
    update_partial(answer, result);
    push_diffs(request, answer, result.oaicompat_msg_diffs, logprobs);
}

// ---- the end of a request ----

struct totals {
    int64_t prompt = 0;
    int64_t cached = 0;
    int64_t completion = 0;
};

static server_task_result_cmpl_final & final_of(const choice & answer) {
    return static_cast<server_task_result_cmpl_final &>(*answer.final_result);
}

static totals count_tokens(const request & request) {
    totals sum;
    for (size_t i = 0; i < request.choices.size(); i++) {
        const auto & result = final_of(request.choices[i]);
        /* The n answers of one prompt share it: count it once. */
        if (i % std::max(1, result.generation_params.n_cmpl) == 0) {
            sum.prompt += result.n_prompt_tokens;
            sum.cached += result.n_prompt_tokens_cache;
        }
        sum.completion += result.n_decoded;
    }
    return sum;
}

static json usage_json(const totals & sum) {
    return json{
        { "prompt_tokens", sum.prompt },
        { "completion_tokens", sum.completion },
        { "total_tokens", sum.prompt + sum.completion },
        { "prompt_tokens_details", { { "cached_tokens", sum.cached } } },
    };
}

static json cortex_json(const request & request, const totals & sum) {
    const auto & first = final_of(request.choices[0]);
    const bool truncated = first.truncated;
    json stop_sequence = nullptr;
    if (first.stop == STOP_TYPE_WORD) {
        stop_sequence = first.stopping_word;
    }
    return json{
        { "usage", usage_json(sum) },
        { "finish_reason", finish_reason(first) },
        { "stop_sequence", stop_sequence },
        { "queue_ms",
            first.stats.is_set()
                ? std::max<int64_t>(0, first.stats.t_start - request.submitted_us) / 1000.0
                : 0.0 },
        { "prefill_ms", first.stats.t_prompt_ms() },
        { "decode_ms", first.stats.t_gen_ms() },
        { "truncated", truncated },
    };
}

static void render_final_chunk(
    const request & request, choice & answer, server_task_result_cmpl_final & result) {
    if (request.kind == NRN_SUBMIT_CHAT && !answer.plain) {
        update_final(answer, result);
        push_diffs(request, answer, result.oaicompat_msg_diffs, "");
    }
    push_role(request, answer, true);
    const char * reason = finish_reason(result);
    std::string chunk = answer.head;
    chunk += request.kind == NRN_SUBMIT_CHAT ? "{}" : "\"\",\"logprobs\":null";
    chunk += std::string(",\"finish_reason\":\"") + reason + "\"}]}";
    push(request, NRN_EVENT_CHUNK, chunk);
}

static json whole_answer(request & request, const totals & sum) {
    json choices = json::array();
    for (auto & answer : request.choices) {
        auto & result = final_of(answer);
        result.index = &answer - request.choices.data();
        update_final(answer, result);
        json one = request.kind == NRN_SUBMIT_CHAT ? result.to_json_oaicompat_chat()
                                                   : result.to_json_oaicompat();
        if (!result.oaicompat_msg.tool_calls.empty() && result.oaicompat_msg.content.empty()) {
            one["choices"].at((size_t)0)["message"]["content"] = nullptr;
        }
        choices.push_back(one.at("choices").at((size_t)0));
    }
    return json{
        { "id", request.completion_id },
        { "object", request.kind == NRN_SUBMIT_CHAT ? "chat.completion" : "text_completion" },
        { "created", request.created },
        { "model", request.owner->name },
        { "choices", choices },
        { "usage", usage_json(sum) },
        { "cortex", cortex_json(request, sum) },
    };
}

static json embeddings_answer(const request & request) {
    json rows = json::array();
    for (const auto & answer : request.choices) {
        rows.push_back(answer.final_result->to_json());
    }
    const bool base64 = get_or<std::string>(request.parsed, "encoding_format", "float") == "base64";
    json answer =
        format_embeddings_response_oaicompat(request.parsed, request.owner->name, rows, base64);
    answer["model"] = request.owner->name;
    return answer;
}

static json rerank_answer(const request & request) {
    std::vector<std::pair<float, size_t>> order;
    int64_t tokens = 0;
    for (size_t i = 0; i < request.choices.size(); i++) {
        const auto & result =
            static_cast<const server_task_result_rerank &>(*request.choices[i].final_result);
        order.emplace_back(result.score, i);
        tokens += result.n_tokens;
    }
    std::stable_sort(order.begin(), order.end(),
        [](const auto & a, const auto & b) { return a.first > b.first; });
    const int64_t count = order.size();
    const int64_t top = std::min(count, get_or(request.parsed, "top_n", count, 1, INT32_MAX));
    json results = json::array();
    for (int64_t i = 0; i < top; i++) {
        results.push_back(
            json{ { "index", order[i].second }, { "relevance_score", order[i].first } });
    }
    return json{
        { "model", request.owner->name },
        { "object", "list" },
        { "usage", { { "prompt_tokens", tokens }, { "total_tokens", tokens } } },
        { "results", results },
    };
}

/* The last event of a request whose answers are all there. */
static void complete(device & self, const request_ptr & request) {
    if (request->kind == NRN_SUBMIT_EMBEDDINGS) {
        self.finish(request, NRN_EVENT_RESULT, NRN_OK, embeddings_answer(*request).dump_safe());
        return;
    }
    if (request->kind == NRN_SUBMIT_RERANK) {
        self.finish(request, NRN_EVENT_RESULT, NRN_OK, rerank_answer(*request).dump_safe());
        return;
    }
    const totals sum = count_tokens(*request);
    if (!request->stream) {
        self.finish(request, NRN_EVENT_RESULT, NRN_OK, whole_answer(*request, sum).dump_safe());
        return;
    }
    if (request->include_usage) {
        const std::string & head = request->choices[0].head;
        std::lock_guard<std::mutex> lock(request->mutex);
        if (!request->ended) {
            push(*request, NRN_EVENT_CHUNK,
                head.substr(0, head.find("\"choices\":[") + 11) +
                    "],\"usage\":" + usage_json(sum).dump() + "}");
        }
    }
    self.finish(request, NRN_EVENT_END, NRN_OK, cortex_json(*request, sum).dump_safe());
}

static int32_t status_of(error_type type) {
    switch (type) {
    case ERROR_TYPE_INVALID_REQUEST:
        return NRN_E_ARGUMENT;
    case ERROR_TYPE_EXCEED_CONTEXT_SIZE:
        return NRN_E_CONTEXT;
    case ERROR_TYPE_NOT_SUPPORTED:
        return NRN_E_UNSUPPORTED;
    default:
        return NRN_E_INTERNAL;
    }
}

static void stop_siblings(device & self, const request_ptr & request) {
    std::shared_lock<std::shared_timed_mutex> in_use(request->owner->use, std::try_to_lock);
    if (!in_use.owns_lock() || request->owner->state != model_state::ready) {
        return;
    }
    std::vector<server_task> cancels;
    for (int task : request->tasks) {
        cancels.emplace_back(SERVER_TASK_TYPE_CANCEL);
        cancels.back().id_target = task;
    }
    request->owner->view->queue.post(std::move(cancels), true);
    self.kick();
}

static void fail_with(
    device & self, const request_ptr & request, const server_task_result_error & error) {
    const int32_t status = status_of(error.err_type);
    json details = nullptr;
    if (status == NRN_E_CONTEXT) {
        details =
            json{ { "prompt_tokens", error.n_prompt_tokens }, { "context_tokens", error.n_ctx } };
    }
    if (status == NRN_E_INTERNAL) {
        log_line(log_level::warn, "request " + std::to_string(request->id) +
                                      " panicked; model NOT marked poisoned: " + error.err_msg);
    }
    if (self.fail(request, status, error.err_msg, details) && request->tasks.size() > 1) {
        stop_siblings(self, request);
    }
}

static void deliver(
    device & self, const request_ptr & request, size_t index, server_task_result_ptr result) {
    if (auto * error = dynamic_cast<server_task_result_error *>(result.get())) {
        fail_with(self, request, *error);
        return;
    }
    bool all_done = false;
    {
        std::lock_guard<std::mutex> lock(request->mutex);
        if (request->ended) {
            return;
        }
        choice & answer = request->choices.at(index);
        if (auto * partial = dynamic_cast<server_task_result_cmpl_partial *>(result.get())) {
            render_partial(*request, answer, *partial);
            return;
        }
        if (auto * last = dynamic_cast<server_task_result_cmpl_final *>(result.get())) {
            if (request->stream) {
                render_final_chunk(*request, answer, *last);
            }
        }
        answer.final_result = std::move(result);
        answer.done = true;
        all_done = ++request->done_count == request->choices.size();
    }
    if (all_done) {
        complete(self, request);
    }
}

static void deliver_guarded(device & self, const model_ptr & owner, server_task_result_ptr result) {
    task_ref target;
    {
        std::lock_guard<std::mutex> lock(owner->tasks_mutex);
        const auto it = owner->tasks.find(result->id);
        if (it == owner->tasks.end()) {
            return; /* cancelled meanwhile */
        }
        target = it->second;
    }
    std::string cause;
    try {
        if (run_guarded(
                [&] { deliver(self, target.owner, target.index, std::move(result)); }, cause)) {
            return;
        }
    } catch (const std::exception & e) {
        cause = e.what();
    } catch (...) {
        cause = "unknown exception";
    }
    log_line(log_level::warn,
        "request " + std::to_string(target.owner->id) +
            " panicked while its result was formatted; model NOT marked poisoned: " + cause);
    if (self.fail(target.owner, NRN_E_INTERNAL, "Formatting the result failed: " + cause)) {
        stop_siblings(self, target.owner);
    }
}

void run_result_thread(device & self) {
    std::deque<result_batch> batches;
    while (true) {
        {
            std::unique_lock<std::mutex> lock(self.result_mutex);
            self.result_wake.wait(lock, [&] { return self.closing || !self.result_inbox.empty(); });
            if (self.result_inbox.empty()) {
                return;
            }
            batches.swap(self.result_inbox);
        }
        for (auto & batch : batches) {
            log_scope names(self.name, batch.owner->name);
            for (auto & result : batch.results) {
                event_ring::get().wait_for_room(self.closing);
                deliver_guarded(self, batch.owner, std::move(result));
            }
            self.result_backlog -= batch.results.size();
        }
        batches.clear();
    }
}

} // namespace nrn
