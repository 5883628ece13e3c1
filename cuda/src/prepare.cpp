// The preparing thread: bodies become tasks here (templates, grammars, tokenizing), so that no
// stream waits for them.
#include "device.h"
#include "events.h"
#include "faults.h"
#include "plain-text.h"
#include "tool-calls.h"

#include "server-chat.h"
#include "server-schema.h"

#include <algorithm>
#include <ctime>

namespace nrn {

/* Members that llama.cpp's own parser sets for itself; a client could steer the parser with them or
 * read other slots. */
static const char * INTERNAL_MEMBERS[] = {
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

static json parse_body(const request & request) {
    json body = json::parse(request.body);
    if (!body.is_object()) {
        throw failure(NRN_E_ARGUMENT, "The body must be a JSON object");
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

/* Chunk text up to the delta, made once per choice. */
static std::string chunk_head(const request & request, size_t index) {
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

static void add_choice(request & request, server_task & task) {
    choice answer;
    task.index = request.choices.size();
    answer.task = task.id;
    answer.state = std::make_unique<task_result_state>(task.params.chat_parser_params);
    answer.plain = request.kind != NRN_SUBMIT_CHAT || is_plain_text(task.params.chat_parser_params);
    answer.head = chunk_head(request, task.index);
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

/* What llama-server's handle_completions_impl does before it posts. */
static std::vector<server_task> build_completion(request & request) {
    const model & owner = *request.owner;
    server_context::host_view & view = *owner.view;
    json body = parse_body(request);
    std::vector<raw_buffer> files;
    const bool chat = request.kind == NRN_SUBMIT_CHAT;
    json data = chat ? chat_params(owner, body, files) : completion_params(body);
    const json & prompt = data.at("prompt");

    std::vector<server_tokens> inputs;
    if (view.mctx != nullptr && chat) {
        inputs.push_back(
            process_mtmd_prompt(view.mctx, prompt.get<std::string>(), files, view.init_opt));
    } else {
        inputs = tokenize_input_prompts(view.vocab, view.mctx, prompt, true, true, view.init_opt);
    }
    auto delimiters =
        common_chat_msg_delimiters_parse(json_value(data, "message_delimiters", json::array()));
    delimiters.tokenize(view.vocab);

    request.completion_id = gen_chatcmplid();
    request.created = std::time(nullptr);
    std::vector<server_task> tasks;
    for (auto & input : inputs) {
        server_task task(SERVER_TASK_TYPE_COMPLETION);
        task.id = view.queue.get_new_id();
        task.tokens = std::move(input);
        check_length(owner, task);
        task.params = server_schema::eval_llama_cmpl_schema(
            view.vocab, owner.params, owner.meta->logit_bias_eog, data);
        task.params.message_spans = task.tokens.find_message_spans(delimiters);
        task.params.return_progress = task.params.stream;
        task.params.res_type = chat ? TASK_RESPONSE_TYPE_OAI_CHAT : TASK_RESPONSE_TYPE_OAI_CMPL;
        task.params.oaicompat_cmpl_id = request.completion_id;
        task.params.oaicompat_model = owner.name;
        request.stream = task.params.stream;
        request.include_usage = task.params.include_usage;
        make_sampler(owner, task);
        add_choice(request, task);
        for (int i = 1; i < task.params.n_cmpl; i++) {
            task.add_child(task.id, view.queue.get_new_id());
            add_choice(request, task.child_tasks.back());
        }
        tasks.push_back(std::move(task));
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

static json tokenize(const request & request) {
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

static json apply_template(const request & request, bool count) {
    server_context::host_view & view = *request.owner->view;
    json body = parse_body(request);
    std::vector<raw_buffer> files;
    const json data = chat_params(*request.owner, body, files);
    const json & prompt = data.at("prompt");
    if (!count) {
        return json{ { "prompt", prompt } };
    }
    const size_t n_tokens =
        view.mctx != nullptr
            ? process_mtmd_prompt(view.mctx, prompt.get<std::string>(), files, view.init_opt, true)
                  .size()
            : tokenize_mixed(view.vocab, prompt, true, true).size();
    return json{ { "input_tokens", n_tokens } };
}

// ---- the thread ----

/* Registers and posts under the request's mutex: a cancel sees either no tasks or all of them. */
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
        request->owner->view->queue.post(std::move(tasks));
    }
    self.kick();
}

static void prepare(device & self, const request_ptr & request) {
    switch (request->kind) {
    case NRN_SUBMIT_TOKENIZE:
        self.finish(request, NRN_EVENT_RESULT, NRN_OK, tokenize(*request).dump_safe());
        break;
    case NRN_SUBMIT_APPLY_TEMPLATE:
    case NRN_SUBMIT_COUNT_TOKENS:
        self.finish(request, NRN_EVENT_RESULT, NRN_OK,
            apply_template(*request, request->kind == NRN_SUBMIT_COUNT_TOKENS).dump_safe());
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

/* A request's own fault ends that request alone, whatever it threw. */
static void prepare_guarded(device & self, const request_ptr & request) {
    log_scope names(self.name, request->owner->name);
    try {
        std::string cause;
        if (!run_guarded([&] { prepare(self, request); }, cause)) {
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
        self.fail(request, NRN_E_INTERNAL, "Out of memory while the request was prepared");
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

void run_prepare_thread(device & self) {
    while (true) {
        request_ptr request;
        {
            std::unique_lock<std::mutex> lock(self.prepare_mutex);
            self.prepare_wake.wait(
                lock, [&] { return self.closing || !self.prepare_queue.empty(); });
            if (self.prepare_queue.empty()) {
                return;
            }
            request = std::move(self.prepare_queue.front());
            self.prepare_queue.pop_front();
        }
        {
            std::shared_lock<std::shared_timed_mutex> in_use(request->owner->use);
            if (request->owner->state != model_state::ready) {
                /* Accepted in the moment in which the model went: nobody else knows of it. */
                const bool poisoned = request->owner->state == model_state::poisoned;
                self.fail(request, poisoned ? NRN_E_FAULT : NRN_E_CANCELLED,
                    "Model '" + request->owner->name +
                        (poisoned ? "' is poisoned" : "' was unloaded"));
            } else if (!request->cancelled) {
                prepare_guarded(self, request);
            }
        }
        request->preparing = false;
        request->owner->preparing--;
    }
}

} // namespace nrn
