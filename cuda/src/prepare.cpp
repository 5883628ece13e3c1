// The preparing thread: bodies become tasks here (templates, grammars, tokenizing), so that no
// stream waits for them.
#include "answers.h"
#include "device.h"
#include "events.h"
#include "faults.h"
#include "fill-prompt.h"
#include "plain-text.h"
#include "tool-calls.h"

#include "server-chat.h"
#include "server-schema.h"

#include <algorithm>
#include <ctime>

namespace nrn {

/* OpenAI takes 20; more only costs time. */
constexpr int64_t LOGPROBS_MAX = 20;
/* Answers of one prompt. */
constexpr int64_t ANSWERS_MAX = 128;
/* A day: no request waits longer. */
constexpr int64_t QUEUE_AGE_MS_MAX = 24 * 3600 * 1000;

/* Members that llama.cpp's own parser sets for itself; a client could steer the parser with them or
 * read other slots. */
static const char * INTERNAL_MEMBERS[] = {
    CALLS_ONLY,
    "chat_format",
    "chat_parser",
    "generation_prompt",
    "grammar_type",
    "message_delimiters",
    "parse_tool_calls",
    "response_fields",
    "timings_per_token",
    "return_progress",
    "return_tokens",
    "sse_ping_interval",
    "id_slot",
    "n_indent",
    "lora",
    "control_action",
    "control_cmpl_id",
    "verbose",
};

static void refuse_remote_media(const json & body) {
    const json messages = body.contains("messages") ? body.at("messages") : json();
    if (!messages.is_array()) {
        return;
    }
    for (const json & message : messages) {
        if (!message.is_object() || !message.contains("content") ||
            !message.at("content").is_array()) {
            continue;
        }
        for (const json & part : message.at("content")) {
            for (const char * key : { "image_url", "input_audio", "input_video", "video_url" }) {
                if (!part.is_object() || !part.contains(key) || !part.at(key).is_object()) {
                    continue;
                }
                const json & media = part.at(key);
                const std::string url =
                    get_or<std::string>(media, "url", get_or<std::string>(media, "data", ""));
                if (url.compare(0, 4, "http") == 0 || url.compare(0, 5, "file:") == 0) {
                    throw failure(
                        NRN_E_ARGUMENT, "Media must be sent inline as a data: URL or base64");
                }
            }
        }
    }
}

static json parse_body(request & request) {
    json body = json::parse(request.body);
    if (!body.is_object()) {
        throw failure(NRN_E_ARGUMENT, "The body must be a JSON object");
    }
    const int64_t age_ms = get_or(body, "queue_age_ms", 0, -QUEUE_AGE_MS_MAX, QUEUE_AGE_MS_MAX);
    request.rank_us = request.submitted_us - age_ms * 1000;
    if (body.contains("queue_age_ms")) {
        body.erase("queue_age_ms");
    }
    for (const char * key : INTERNAL_MEMBERS) {
        if (body.contains(key)) {
            body.erase(key);
        }
    }
    refuse_remote_media(body);
    return body;
}

static void check_length(const model & owner, const server_task & task) {
    const int32_t n_context = owner.params.embedding && task.need_embd()
                                  ? std::min(owner.meta->slot_n_ctx, owner.params.n_ubatch) + 1
                                  : owner.meta->slot_n_ctx;
    if (task.n_tokens() >= n_context) {
        const int32_t limit = task.need_embd() ? n_context - 1 : n_context;
        throw failure(NRN_E_CONTEXT,
            "The prompt has " + std::to_string(task.n_tokens()) + " tokens, the context " +
                std::to_string(limit),
            json{ { "prompt_tokens", task.n_tokens() }, { "context_tokens", limit } });
    }
    if (task.n_tokens() == 0) {
        throw failure(NRN_E_ARGUMENT, "The prompt is empty");
    }
}

static void add_choice(request & request, server_task & task) {
    choice answer;
    task.index = request.choices.size();
    answer.task = task.id;
    answer.state = std::make_unique<task_result_state>(task.params.chat_parser_params);
    answer.plain = request.kind != NRN_SUBMIT_CHAT || is_plain_text(task.params.chat_parser_params);
    answer.head = chunk_head(request, task.index);
    answer.stops.set(request.stops);
    request.choices.push_back(std::move(answer));
}

static void make_sampler(const model & owner, server_task & task) {
    if (task.params.sampling.backend_sampling) {
        return;
    }
    log_capture reasons(true);
    std::string why = "the grammar does not parse";
    try {
        task.smpl.reset(common_sampler_init(owner.view->model, task.params.sampling));
    } catch (const std::exception & e) {
        why = e.what();
    }
    if (!task.smpl) {
        throw failure(NRN_E_ARGUMENT, "Cannot set up sampling: " + why +
                                          (reasons.text.empty() ? "" : " (" + reasons.text + ")"));
    }
}

/* Takes out of the body what is done here and not by the server core. */
static void take_options(request & request, json & body) {
    const json stop = body.contains("stop") ? body.at("stop") : json();
    if (stop.is_string()) {
        request.stops = { stop.get<std::string>() };
    } else if (!stop.is_null()) {
        request.stops = get_or<std::vector<std::string>>(body, "stop", {});
    }
    request.stops.erase(
        std::remove(request.stops.begin(), request.stops.end(), ""), request.stops.end());

    const json logprobs = body.contains("logprobs") ? body.at("logprobs") : json();
    if (logprobs.is_boolean() && logprobs.get<bool>()) {
        request.top_logprobs = get_or(body, "top_logprobs", 0, 0, LOGPROBS_MAX);
    } else if (logprobs.is_number()) {
        request.top_logprobs = get_or(body, "logprobs", 0, 0, LOGPROBS_MAX);
    }
    const json options = body.contains("stream_options") ? body.at("stream_options") : json();
    request.prompt_usage = get_or<bool>(body, "stream", false) && options.is_object() &&
                           get_or<bool>(options, "prompt_usage", false);
    request.answers_per_prompt = get_or(body, "n", 1, 1, ANSWERS_MAX);
    for (const char * key : { "stop", "logprobs", "top_logprobs", "n" }) {
        if (body.contains(key)) {
            body.erase(key);
        }
    }
}

struct prompt_tokens {
    json params;
    std::vector<server_tokens> inputs;
};

/* What a body says to the model. Generating and counting both go this way, so that their counts are
 * the same. */
static prompt_tokens read_prompt(request & request, bool count_only) {
    const model & owner = *request.owner;
    server_context::host_view & view = *owner.view;
    json body = parse_body(request);
    take_options(request, body);
    std::vector<raw_buffer> files;
    const bool chat = request.kind != NRN_SUBMIT_COMPLETION;
    if (!chat) {
        join_suffix(owner, body);
    }
    prompt_tokens read;
    read.params = chat ? chat_params(owner, body, files) : completion_params(body);
    request.calls_only = get_or<bool>(read.params, CALLS_ONLY, false);
    const json & prompt = read.params.at("prompt");
    if (view.mctx != nullptr && chat) {
        read.inputs.push_back(process_mtmd_prompt(
            view.mctx, prompt.get<std::string>(), files, view.init_opt, count_only));
    } else {
        read.inputs =
            tokenize_input_prompts(view.vocab, view.mctx, prompt, true, true, view.init_opt);
    }
    return read;
}

static void set_params(request & request, server_task & task, const json & params) {
    const model & owner = *request.owner;
    const bool chat = request.kind == NRN_SUBMIT_CHAT;
    task.params = server_schema::eval_llama_cmpl_schema(
        owner.view->vocab, owner.params, owner.meta->logit_bias_eog, params);
    request.stream = task.params.stream;
    request.include_usage = task.params.include_usage;
    task.params.return_progress = task.params.stream;
    task.params.res_type = chat ? TASK_RESPONSE_TYPE_OAI_CHAT : TASK_RESPONSE_TYPE_OAI_CMPL;
    task.params.oaicompat_cmpl_id = request.completion_id;
    task.params.oaicompat_model = owner.name;
    if (request.top_logprobs >= 0) {
        task.params.sampling.n_probs = std::max(1, request.top_logprobs);
    }
    if (!request.stops.empty()) {
        /* They are looked for in the answer's text alone, so its tokens must come one by one. */
        task.params.stream = true;
        task.params.timings_per_token = true;
    }
}

/* The further answers of one prompt: they share its reading where there are slots for all at once.
 */
static void add_answers(
    request & request, server_task & task, std::vector<server_task> & tasks, uint32_t seed) {
    server_queue & queue = request.owner->view->queue;
    const size_t count = request.answers_per_prompt;
    if (count <= (size_t)request.owner->params.n_parallel) {
        for (size_t i = 1; i < count; i++) {
            task.add_child(task.id, queue.get_new_id());
            add_choice(request, task.child_tasks.back());
        }
        tasks.push_back(std::move(task));
        return;
    }
    std::vector<server_task> further;
    for (size_t i = 1; i < count; i++) {
        server_task one(SERVER_TASK_TYPE_COMPLETION);
        one.id = queue.get_new_id();
        one.tokens = task.tokens.clone();
        one.params = task.params;
        if (seed != LLAMA_DEFAULT_SEED) {
            one.params.sampling.seed = seed + (uint32_t)i;
        }
        make_sampler(*request.owner, one);
        add_choice(request, one);
        further.push_back(std::move(one));
    }
    tasks.push_back(std::move(task));
    std::move(further.begin(), further.end(), std::back_inserter(tasks));
}

/* What llama-server's handle_completions_impl does before it posts. */
static std::vector<server_task> build_completion(request & request) {
    const model & owner = *request.owner;
    server_context::host_view & view = *owner.view;
    prompt_tokens read = read_prompt(request, false);
    auto delimiters = common_chat_msg_delimiters_parse(
        json_value(read.params, "message_delimiters", json::array()));
    delimiters.tokenize(view.vocab);

    request.completion_id = gen_chatcmplid();
    request.created = std::time(nullptr);
    std::vector<server_task> tasks;
    for (auto & input : read.inputs) {
        server_task task(SERVER_TASK_TYPE_COMPLETION);
        task.id = view.queue.get_new_id();
        task.tokens = std::move(input);
        check_length(owner, task);
        set_params(request, task, read.params);
        task.params.message_spans = task.tokens.find_message_spans(delimiters);
        make_sampler(owner, task);
        add_choice(request, task);
        add_answers(request, task, tasks, task.params.sampling.seed);
    }
    return tasks;
}

static std::vector<server_task> build_embeddings(request & request) {
    const model & owner = *request.owner;
    server_context::host_view & view = *owner.view;
    request.parsed = parse_body(request);
    const json & body = request.parsed;
    const std::string format = get_or<std::string>(body, "encoding_format", "float");
    if (format != "float" && format != "base64") {
        throw failure(NRN_E_ARGUMENT,
            "'encoding_format' must be \"float\" or \"base64\", not \"" + format + "\"");
    }
    if (!body.contains("input")) {
        throw failure(NRN_E_ARGUMENT, "'input' is required");
    }
    auto inputs =
        tokenize_input_prompts(view.vocab, view.mctx, body.at("input"), true, true, view.init_opt);
    std::vector<server_task> tasks;
    for (auto & input : inputs) {
        server_task task(SERVER_TASK_TYPE_EMBEDDING);
        task.id = view.queue.get_new_id();
        task.tokens = std::move(input);
        check_length(owner, task);
        task.params.res_type = TASK_RESPONSE_TYPE_OAI_EMBD;
        task.params.embd_normalize = owner.params.embd_normalize;
        add_choice(request, task);
        tasks.push_back(std::move(task));
    }
    return tasks;
}

static std::vector<server_task> build_rerank(request & request) {
    const model & owner = *request.owner;
    server_context::host_view & view = *owner.view;
    request.parsed = parse_body(request);
    const std::string query = get_or<std::string>(request.parsed, "query", "");
    const auto documents = get_or<std::vector<std::string>>(request.parsed, "documents", {});
    if (query.empty() || documents.empty()) {
        throw failure(NRN_E_ARGUMENT, "'query' and a non-empty array 'documents' are required");
    }
    std::vector<server_task> tasks;
    for (const auto & document : documents) {
        server_task task(SERVER_TASK_TYPE_RERANK);
        task.id = view.queue.get_new_id();
        task.tokens =
            format_prompt_rerank(view.model, view.vocab, view.mctx, query, document, view.init_opt);
        check_length(owner, task);
        add_choice(request, task);
        tasks.push_back(std::move(task));
    }
    return tasks;
}

static std::vector<server_task> build_tasks(request & request) {
    const model & owner = *request.owner;
    const char * refused = request.kind == NRN_SUBMIT_EMBEDDINGS && !owner.is_embedding()
                               ? "was not loaded for embeddings"
                           : request.kind == NRN_SUBMIT_RERANK && !owner.is_reranking()
                               ? "was not loaded for reranking"
                           : request.kind <= NRN_SUBMIT_COMPLETION && owner.params.embedding
                               ? "was loaded for embeddings or reranking and does not generate"
                               : nullptr;
    if (refused) {
        throw failure(NRN_E_UNSUPPORTED, "Model '" + owner.name + "' " + refused);
    }
    switch (request.kind) {
    case NRN_SUBMIT_EMBEDDINGS:
        return build_embeddings(request);
    case NRN_SUBMIT_RERANK:
        return build_rerank(request);
    default:
        return build_completion(request);
    }
}

// ---- requests that need no device ----

static json tokenize(request & request) {
    const llama_vocab * vocab = request.owner->view->vocab;
    const json body = parse_body(request);
    if (!body.contains("content")) {
        throw failure(NRN_E_ARGUMENT, "'content' is required");
    }
    const llama_tokens tokens =
        tokenize_mixed(vocab, body.at("content"), get_or<bool>(body, "add_special", false), true);
    if (!get_or<bool>(body, "with_pieces", false)) {
        return json{ { "tokens", tokens } };
    }
    json pieces = json::array();
    for (const llama_token token : tokens) {
        const std::string text = common_token_to_piece(vocab, token);
        json piece = text;
        if (!is_valid_utf8(text)) {
            piece = std::vector<unsigned char>(text.begin(), text.end());
        }
        pieces.push_back(json{ { "id", token }, { "piece", piece } });
    }
    return json{ { "tokens", pieces } };
}

static json apply_template(request & request) {
    json body = parse_body(request);
    std::vector<raw_buffer> files;
    const json params = chat_params(*request.owner, body, files);
    return json{ { "prompt", params.at("prompt") } };
}

static json count_prompt(request & request) {
    return json{ { "input_tokens", read_prompt(request, true).inputs.at(0).size() } };
}

// ---- one request ----

/* Registers and queues under the request's mutex: a cancel sees either no tasks or all of them. */
static void post(device & self, const request_ptr & request, std::vector<server_task> tasks) {
    {
        std::lock_guard<std::mutex> lock(request->mutex);
        if (request->ended) {
            return;
        }
        for (const auto & answer : request->choices) {
            request->tasks.push_back(answer.task);
        }
        std::lock_guard<std::mutex> tasks_lock(request->owner->tasks_mutex);
        for (size_t i = 0; i < request->tasks.size(); i++) {
            request->owner->tasks[request->tasks[i]] = { request, i };
        }
        wait_for_slots(request, std::move(tasks));
    }
    self.kick();
}

static void prepare(device & self, const request_ptr & request) {
    switch (request->kind) {
    case NRN_SUBMIT_TOKENIZE:
        self.finish(request, NRN_EVENT_RESULT, NRN_OK, tokenize(*request).dump_safe());
        break;
    case NRN_SUBMIT_APPLY_TEMPLATE:
        self.finish(request, NRN_EVENT_RESULT, NRN_OK, apply_template(*request).dump_safe());
        break;
    case NRN_SUBMIT_COUNT_TOKENS:
        self.finish(request, NRN_EVENT_RESULT, NRN_OK, count_prompt(*request).dump_safe());
        break;
    default:
        post(self, request, build_tasks(*request));
    }
    request->body.clear();
    request->body.shrink_to_fit();
}

static void warn_not_poisoned(
    const request & request, const char * how, const std::string & cause) {
    log_line(log_level::warn, "request " + std::to_string(request.id) + " " + how +
                                  " while it was prepared; model NOT marked poisoned: " + cause);
}

/* A test's order on the real path. */
static void fire_prepare_fault(device & self) {
    for (int64_t left_ms = self.prepare_hang_ms.exchange(0); left_ms > 0; left_ms -= 10) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (self.prepare_out_of_memory.exchange(false)) {
        throw std::bad_alloc();
    }
}

void prepare_guarded(device & self, const request_ptr & request) {
    log_scope names(self.name, request->owner->name);
    try {
        std::string cause;
        const auto body = [&] {
            fire_prepare_fault(self);
            prepare(self, request);
        };
        if (!run_guarded(body, cause)) {
            warn_not_poisoned(*request, "ended abnormally", cause);
            self.fail(request, NRN_E_INTERNAL, "Preparing the request failed: " + cause);
        }
    } catch (const failure & e) {
        self.fail(request, e.status, e.what(), e.details);
    } catch (const common_json_error & e) {
        /* Not logged: the text of such an error quotes the body. */
        self.fail(request, NRN_E_ARGUMENT, e.what());
    } catch (const std::bad_alloc & e) {
        warn_not_poisoned(*request, "panicked", e.what());
        self.fail(request, NRN_E_MEMORY, "Out of host memory while the request was prepared");
    } catch (const std::exception & e) {
        /* llama.cpp throws the same types for bad bodies, templates and grammars: the client's
         * doing as a rule. */
        warn_not_poisoned(*request, "panicked", e.what());
        self.fail(request, NRN_E_ARGUMENT, e.what());
    } catch (...) {
        warn_not_poisoned(*request, "ended abnormally", "unknown exception");
        self.fail(request, NRN_E_INTERNAL, "Preparing the request failed");
    }
}

} // namespace nrn
