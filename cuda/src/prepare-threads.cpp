// The threads that prepare requests: one takes them in order, and another goes on where it hangs.
#include "device.h"
#include "events.h"

#include <algorithm>

namespace nrn {

/* Requests behind one that takes longer than this are prepared by another thread meanwhile. */
static constexpr double PATIENCE_SECONDS = 2;
/* Threads that are still at an earlier request; more would only take the CPU from each other. */
static constexpr size_t SUPERSEDED_MAX = 8;

using worker_ptr = std::shared_ptr<prepare_worker>;

static void handle(device & self, const request_ptr & request) {
    std::shared_lock<std::shared_timed_mutex> in_use(request->owner->use);
    if (request->owner->state != model_state::ready) {
        /* Accepted in the moment in which the model went: nobody else knows of it. */
        const bool poisoned = request->owner->state == model_state::poisoned;
        self.fail(request, poisoned ? NRN_E_FAULT : NRN_E_CANCELLED,
            "Model '" + request->owner->name + (poisoned ? "' is poisoned" : "' was unloaded"));
    } else if (!request->cancelled) {
        prepare_guarded(self, request);
    }
}

static void settle(const request_ptr & request) {
    request->preparing = false;
    request->owner->preparing--;
}

static void run_prepare_thread(device & self, const worker_ptr & worker) {
    std::unique_lock<std::mutex> lock(self.prepare_mutex);
    while (true) {
        self.prepare_wake.wait(
            lock, [&] { return self.closing || worker->superseded || !self.prepare_queue.empty(); });
        if (worker->superseded || self.prepare_queue.empty()) {
            break;
        }
        const request_ptr request = std::move(self.prepare_queue.front());
        self.prepare_queue.pop_front();
        worker->current = request;
        worker->since_us = ggml_time_us();
        lock.unlock();
        handle(self, request);
        if (request->owner->state == model_state::unloading) {
            self.kick(); /* it waits for this to free the model */
        }
        lock.lock();
        worker->current = nullptr;
        if (!worker->given_up) {
            settle(request);
        }
    }
    auto & all = self.prepare_workers;
    all.erase(std::remove(all.begin(), all.end(), worker), all.end());
}

/* With prepare_mutex held. The threads hold the device, since one that hangs may outlive it. */
static void add_worker(device & self) {
    const auto worker = std::make_shared<prepare_worker>();
    worker->thread = start_helper("nrn-prepare",
        [home = self.shared_from_this(), worker] { run_prepare_thread(*home, worker); });
    self.prepare_workers.push_back(worker);
}

void start_preparing(device & self) {
    std::lock_guard<std::mutex> lock(self.prepare_mutex);
    add_worker(self);
}

/* With prepare_mutex held. */
static void supersede(device & self, prepare_worker & worker) {
    worker.superseded = true;
    pthread_detach(worker.thread);
    add_worker(self);
}

static void give_up(device & self, const request_ptr & request) {
    log_scope names(self.name, request->owner->name);
    const std::string limit = std::to_string((int)std::max(1.0, self.prepare_seconds)) + " s";
    if (self.fail(request, NRN_E_ARGUMENT,
            "Preparing the request took longer than " + limit +
                ": its chat template, grammar or text does not come to an end")) {
        log_line(log_level::error,
            "request " + std::to_string(request->id) + " was given up after " + limit +
                " of preparing; its thread is left behind; model NOT marked poisoned");
    }
}

void watch_preparing(device & self) {
    std::vector<request_ptr> late;
    {
        std::lock_guard<std::mutex> lock(self.prepare_mutex);
        const std::vector<worker_ptr> workers = self.prepare_workers;
        const int64_t now = ggml_time_us();
        for (const worker_ptr & worker : workers) {
            if (!worker->current || worker->given_up) {
                continue;
            }
            const double seconds = (double)(now - worker->since_us) / 1e6;
            const bool is_late = seconds > self.prepare_seconds;
            const bool blocks = seconds > PATIENCE_SECONDS && !self.prepare_queue.empty() &&
                                self.prepare_workers.size() <= SUPERSEDED_MAX;
            if (!worker->superseded && (is_late || blocks)) {
                supersede(self, *worker);
            }
            if (is_late) {
                worker->given_up = true;
                settle(worker->current);
                late.push_back(worker->current);
            }
        }
    }
    for (const request_ptr & request : late) {
        give_up(self, request);
    }
}

int32_t count_stuck(device & self) {
    std::lock_guard<std::mutex> lock(self.prepare_mutex);
    return (int32_t)std::count_if(self.prepare_workers.begin(), self.prepare_workers.end(),
        [](const worker_ptr & worker) { return worker->given_up; });
}

bool end_preparing(device & self, int seconds) {
    worker_ptr active;
    bool alone = true;
    {
        std::lock_guard<std::mutex> lock(self.prepare_mutex);
        for (const worker_ptr & worker : self.prepare_workers) {
            if (worker->superseded) {
                alone = false;
            } else {
                active = worker;
            }
        }
    }
    return active && join_within(active->thread, seconds) && alone;
}

} // namespace nrn
