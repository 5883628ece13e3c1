// The result thread: results of the server core become events here, so that no step waits for
// parsing or JSON.
#include "answers.h"
#include "device.h"
#include "events.h"
#include "faults.h"

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
        std::lock_guard<std::mutex> lock(request->mutex);
        if (!request->ended) {
            push_usage(*request, sum);
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
    case ERROR_TYPE_UNAVAILABLE: /* patches/0008: a step lacked memory */
        return NRN_E_MEMORY;
    default:
        return NRN_E_INTERNAL;
    }
}

static void cancel_tasks(
    device & self, const request_ptr & request, const std::vector<int> & tasks) {
    std::shared_lock<std::shared_timed_mutex> in_use(request->owner->use, std::try_to_lock);
    if (!in_use.owns_lock() || request->owner->state != model_state::ready) {
        return;
    }
    std::vector<server_task> cancels;
    for (int task : tasks) {
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
    if (status == NRN_E_INTERNAL || status == NRN_E_MEMORY) {
        log_line(log_level::warn, "request " + std::to_string(request->id) +
                                      " panicked; model NOT marked poisoned: " + error.err_msg);
    }
    if (self.fail(request, status, error.err_msg, details) && request->tasks.size() > 1) {
        cancel_tasks(self, request, request->tasks);
    }
}

static void deliver(
    device & self, const request_ptr & request, size_t index, server_task_result_ptr result) {
    if (auto * error = dynamic_cast<server_task_result_error *>(result.get())) {
        fail_with(self, request, *error);
        return;
    }
    bool all_done = false;
    int stopped_task = -1;
    {
        std::lock_guard<std::mutex> lock(request->mutex);
        if (request->ended) {
            return;
        }
        choice & answer = request->choices.at(index);
        if (answer.done) {
            return; /* a stop string ended it; its task made one more step */
        }
        if (auto * partial = dynamic_cast<server_task_result_cmpl_partial *>(result.get())) {
            if (!take_partial(*request, answer, *partial)) {
                return;
            }
            stopped_task = answer.task;
        } else if (auto * last = dynamic_cast<server_task_result_cmpl_final *>(result.get())) {
            take_final(*request, answer, *last);
        } else {
            answer.final_result = std::move(result);
        }
        answer.done = true;
        all_done = ++request->done_count == request->choices.size();
    }
    if (stopped_task >= 0) {
        cancel_tasks(self, request, { stopped_task });
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
        cancel_tasks(self, target.owner, target.owner->tasks);
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
