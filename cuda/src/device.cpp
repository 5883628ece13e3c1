#include "device.h"

#include "events.h"

#include <algorithm>

namespace nrn {

/* Results that may wait for the drainer before the device pauses. */
static constexpr size_t RESULT_BACKLOG_MAX = 20000;
/* A template that never ends must not hold up the process's end. */
static constexpr int HELPER_END_SECONDS = 5;

void device::kick() {
    {
        std::lock_guard<std::mutex> lock(mutex);
        kicked = true;
    }
    wake.notify_one();
}

request_ptr device::find(uint64_t id) {
    std::lock_guard<std::mutex> lock(registry_mutex);
    const auto it = registry.find(id);
    return it == registry.end() ? nullptr : it->second;
}

model_ptr device::find_model(const std::string & model_name) {
    std::lock_guard<std::mutex> lock(mutex);
    const auto it = models.find(model_name);
    return it == models.end() ? nullptr : it->second;
}

bool device::finish(
    const request_ptr & request, uint32_t kind, int32_t status, const std::string & payload) {
    {
        std::lock_guard<std::mutex> lock(request->mutex);
        if (request->ended) {
            return false;
        }
        request->ended = true;
        if (request->owner) {
            request->owner->open_requests--; /* first, so that whoever sees the event sees the
                                                figures of after it */
        }
        event_ring::get().push(kind, request->id, status, payload);
    }
    {
        std::lock_guard<std::mutex> lock(registry_mutex);
        registry.erase(request->id);
    }
    if (request->owner) {
        std::lock_guard<std::mutex> lock(request->owner->tasks_mutex);
        for (int task : request->tasks) {
            request->owner->tasks.erase(task);
        }
        if (!request->tasks.empty()) {
            leave_queue(request);
        }
    }
    return true;
}

bool device::fail(const request_ptr & request, int32_t status, const std::string & message,
    const json & details) {
    return finish(request, NRN_EVENT_ERROR, status, error_payload(status, message, details));
}

void device::fail_all(const model_ptr & owner, int32_t status, const std::string & message) {
    std::vector<request_ptr> open;
    {
        std::lock_guard<std::mutex> lock(registry_mutex);
        for (const auto & entry : registry) {
            if (entry.second->owner == owner) {
                open.push_back(entry.second);
            }
        }
    }
    for (const auto & request : open) {
        request->cancelled = true;
        fail(request, status, message);
    }
}

static void accept(device & self, const request_ptr & request) {
    std::lock_guard<std::mutex> lock(self.registry_mutex);
    if (request->id == 0 || !self.registry.emplace(request->id, request).second) {
        throw failure(
            NRN_E_ARGUMENT, "Request id " + std::to_string(request->id) + " is 0 or in use");
    }
}

void submit(
    device & self, uint64_t id, uint32_t kind, const std::string & model_name, std::string body) {
    if (kind < NRN_SUBMIT_CHAT || kind > NRN_SUBMIT_COUNT_TOKENS) {
        throw failure(NRN_E_ARGUMENT, "Unknown kind of request: " + std::to_string(kind));
    }
    if (self.poisoned) {
        throw failure(NRN_E_FAULT, "Device '" + self.name + "' is poisoned");
    }
    if (self.stopping) {
        throw failure(NRN_E_STATE, "Device '" + self.name + "' is stopping");
    }
    auto request = std::make_shared<nrn::request>();
    {
        std::lock_guard<std::mutex> lock(self.mutex);
        const auto it = self.models.find(model_name);
        if (it == self.models.end()) {
            const bool is_loading = self.loading.count(model_name) > 0;
            throw failure(is_loading ? NRN_E_STATE : NRN_E_NOT_FOUND,
                "Model '" + model_name + "' is " + (is_loading ? "still loading" : "not loaded") +
                    " on device '" + self.name + "'");
        }
        request->owner = it->second;
    }
    model & owner = *request->owner;
    if (owner.state == model_state::poisoned) {
        throw failure(NRN_E_FAULT, "Model '" + model_name + "' is poisoned: " + owner.cause);
    }
    if (owner.state != model_state::ready) {
        throw failure(NRN_E_STATE, "Model '" + model_name + "' is being unloaded");
    }
    if (owner.open_requests.fetch_add(1) >= self.requests_max) {
        owner.open_requests--;
        throw failure(NRN_E_QUEUE, "Queue of model '" + model_name + "' is full: " +
                                       std::to_string(self.requests_max) + " requests");
    }
    request->id = id;
    request->kind = kind;
    request->body = std::move(body);
    request->submitted_us = ggml_time_us();
    try {
        accept(self, request);
    } catch (...) {
        owner.open_requests--;
        throw;
    }
    owner.preparing++;
    request->preparing = true;
    {
        std::lock_guard<std::mutex> lock(self.prepare_mutex);
        self.prepare_queue.push_back(std::move(request));
    }
    self.prepare_wake.notify_one();
}

void submit_job(device & self, uint64_t id, std::string body) {
    if (self.poisoned) {
        throw failure(NRN_E_FAULT, "Device '" + self.name + "' is poisoned");
    }
    if (self.stopping) {
        throw failure(NRN_E_STATE, "Device '" + self.name + "' is stopping");
    }
    auto request = std::make_shared<nrn::request>();
    request->id = id;
    request->parsed = json::parse(body);
    if (!request->parsed.is_object()) {
        throw failure(NRN_E_ARGUMENT, "A job must be a JSON object");
    }
    request->submitted_us = ggml_time_us();
    accept(self, request);
    {
        std::lock_guard<std::mutex> lock(self.mutex);
        if (get_or<std::string>(request->parsed, "op", "") == "load") {
            self.loading.insert(get_or<std::string>(request->parsed, "model", ""));
        }
        self.jobs.push_back(std::move(request));
        self.kicked = true;
    }
    self.wake.notify_one();
}

bool cancel(device & self, uint64_t id) {
    const request_ptr request = self.find(id);
    if (!request) {
        return false;
    }
    request->cancelled = true;
    if (!self.fail(request, NRN_E_CANCELLED, "Cancelled")) {
        return false;
    }
    /* Stable now: nothing is posted for a request that has ended. */
    const std::vector<int> & tasks = request->tasks;
    if (request->owner) {
        log_line(log_level::info,
            "request " + std::to_string(id) + " was cancelled; model NOT marked poisoned");
    }
    if (request->owner && !tasks.empty() && request->owner->state == model_state::ready) {
        std::shared_lock<std::shared_timed_mutex> in_use(request->owner->use, std::try_to_lock);
        if (in_use.owns_lock() && request->owner->server) {
            std::vector<server_task> cancels;
            for (int task : tasks) {
                cancels.emplace_back(SERVER_TASK_TYPE_CANCEL);
                cancels.back().id_target = task;
            }
            request->owner->view->queue.post(std::move(cancels), true);
        }
        self.kick();
    }
    return true;
}

// ---- the loop ----

static request_ptr take_job(device & self) {
    std::lock_guard<std::mutex> lock(self.mutex);
    if (self.jobs.empty()) {
        return nullptr;
    }
    request_ptr job = std::move(self.jobs.front());
    self.jobs.pop_front();
    return job;
}

/* For the watchdog: a step that hangs on another thread holds up the loop's sign of life. */
static void show_turn(device & self) {
    const bool is_stepping = !self.steps_away.empty();
    self.doing = is_stepping ? self.steps_away.front()->phase : "";
    self.turn_us = is_stepping ? self.steps_away.front()->start_us : ggml_time_us();
}

/* Waits for a kick; false when the slice is over. */
static bool wait_for_work(device & self, std::chrono::steady_clock::time_point until) {
    std::unique_lock<std::mutex> lock(self.mutex);
    const bool woken = self.wake.wait_until(lock, until, [&] { return self.kicked; });
    self.kicked = false;
    return woken;
}

void end_everything(device & self, int32_t status, const std::string & message) {
    std::vector<request_ptr> open;
    {
        std::lock_guard<std::mutex> lock(self.registry_mutex);
        for (const auto & entry : self.registry) {
            open.push_back(entry.second);
        }
    }
    for (const auto & request : open) {
        request->cancelled = true;
        self.fail(request, status, message);
    }
}

int32_t run_slice(device & self, uint32_t slice_ms) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(slice_ms);
    watch_preparing(self);
    while (true) {
        take_in_steps(self);
        show_turn(self);
        if (self.stopping) {
            end_everything(self, NRN_E_CANCELLED, "Device '" + self.name + "' was stopped");
            wait_for_steps(self);
            take_in_steps(self);
            return 1;
        }
        if (self.poisoned) {
            return NRN_E_FAULT;
        }
        settle_leaving(self);
        hand_out_slots(self);
        if (const request_ptr job = take_job(self)) {
            run_job(self, job);
        } else if (self.result_backlog > RESULT_BACKLOG_MAX) {
            /* The drainer is behind; the result thread kicks when it has caught up. */
            wait_for_work(self,
                std::min(until, std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
        } else if (!step_next(self) && !wait_for_work(self, until)) {
            return 0;
        }
        if (std::chrono::steady_clock::now() >= until) {
            return 0;
        }
    }
}

bool join_within(pthread_t thread, int seconds) {
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    if (pthread_timedjoin_np(thread, nullptr, &until) == 0) {
        return true;
    }
    pthread_detach(thread);
    return false;
}

bool close_device(device & self) {
    const std::string reason = "Device '" + self.name + "' was closed";
    end_everything(self, NRN_E_CANCELLED, reason);
    wait_for_steps(self);
    take_in_steps(self);
    unload_all(self, reason);
    self.closing = true;
    self.prepare_wake.notify_all();
    self.result_wake.notify_all();
    const bool stepped = end_stepping(self, HELPER_END_SECONDS);
    const bool prepared = end_preparing(self, HELPER_END_SECONDS);
    const bool delivered = join_within(self.result_thread, HELPER_END_SECONDS);
    return stepped && prepared && delivered;
}

static json figures_of_model(model & current) {
    server_context::figures figures;
    pace speed;
    uint64_t steps;
    {
        std::lock_guard<std::mutex> lock(current.shown_mutex);
        figures = current.shown;
        speed = current.shown_speed;
        steps = current.shown_steps;
    }
    const bool ready = current.state != model_state::poisoned;
    const int32_t busy = ready ? figures.n_prefilling + figures.n_decoding : 0;
    const int32_t preparing = current.preparing;
    const int32_t open = std::max(0, current.open_requests.load() - preparing);
    const int32_t queued = ready ? std::min<int32_t>(open, current.without_slot) : 0;
    return json{
        { "model", current.name },
        { "state", ready ? "ready" : "poisoned" },
        { "slots", figures.n_slots },
        { "slots_busy", busy },
        { "preparing", preparing },
        { "queued", queued },
        { "in_flight", open - queued },
        { "prompt_tokens", figures.n_prompt + figures.n_cached },
        { "cached_prompt_tokens", figures.n_cached },
        { "completion_tokens", figures.n_generated },
        { "prefill_tokens_per_second", speed.prefill_per_second },
        { "decode_tokens_per_second", speed.decode_per_second },
        { "steps", steps },
        { "context_tokens_used", figures.n_used },
    };
}

json figures_of(device & self) {
    std::vector<model_ptr> loaded;
    json cause = nullptr;
    {
        std::lock_guard<std::mutex> lock(self.mutex);
        for (const auto & entry : self.models) {
            loaded.push_back(entry.second);
        }
        if (self.poisoned) {
            cause = self.poison_cause;
        }
    }
    json models = json::array();
    for (const auto & current : loaded) {
        models.push_back(figures_of_model(*current));
    }
    const int64_t now = ggml_time_us();
    const int64_t last = self.last_step_us;
    return json{
        { "state", self.poisoned ? "poisoned" : "ok" },
        { "cause", cause },
        { "steps", self.steps.load() },
        { "last_step_ms_ago", last == 0 ? 0 : (now - last) / 1000 },
        { "longest_step_ms", self.longest_step_us / 1000 },
        { "turn_ms_ago", (now - self.turn_us) / 1000 },
        { "doing", self.doing.load() },
        { "preparing_stuck", count_stuck(self) },
        { "models", models },
    };
}

} // namespace nrn
