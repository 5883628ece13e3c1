// Unloading: a model is freed when the last thread that prepares a request of it is done, and nothing waits for that
// but the unload.
#include "device.h"
#include "events.h"
#include "faults.h"

#include <algorithm>

namespace nrn {

/* A template that never ends must not keep an unload from its end: then the model is leaked instead. */
static constexpr int64_t PREPARED_WITHIN_US = 5'000'000;
/* A request's preparation takes a few milliseconds as a rule; it is not worth another turn of the loop. */
static constexpr std::chrono::milliseconds PATIENCE{ 5 };

static uint64_t bytes_of(const model & target) {
    uint64_t sum = 0;
    for (const auto & entry : target.bytes) {
        sum += entry.second.total();
    }
    return sum;
}

static json answer_of(const model & target, uint64_t freed_bytes) {
    return json{ { "model", target.name }, { "freed_bytes", freed_bytes } };
}

/* With the model's use held exclusively. */
static json free_model(device & self, const model_ptr & target) {
    struct teardown {
        device & self;
        server_context * server;
        const std::string & name;
    } work = { self, target->server, target->name };
    std::string cause;
    current_phase = "unload";
    target->server = nullptr;
    const bool clean = run_guarded_destructor(
        [](void * argument) {
            auto & work = *static_cast<teardown *>(argument);
            fire_fault(work.self, "unload", work.name);
            delete work.server;
        },
        &work, cause);
    current_phase = "";
    if (!clean) {
        const json fault = { { "device", self.name }, { "model", target->name },
            { "scope", "model" }, { "cause", cause }, { "phase", "unload" } };
        event_ring::get().push(NRN_EVENT_FAULT, 0, NRN_E_FAULT, fault.dump_safe());
        probe_device(self, cause);
        throw failure(NRN_E_FAULT,
            "Unloading model '" + target->name + "' aborted, its memory is leaked: " + cause,
            json{ { "cause", cause } });
    }
    return answer_of(*target, bytes_of(*target));
}

static json leak_model(const model & target) {
    log_line(log_level::error, "model '" + target.name +
                                   "' is still used by a request that is being prepared; its "
                                   "memory is leaked");
    return answer_of(target, 0);
}

/* Takes it off the list and ends its requests; false for one that is poisoned, of which nothing can be freed. */
static bool retire(device & self, const model_ptr & target, const std::string & reason) {
    const bool poisoned = target->state == model_state::poisoned;
    if (!poisoned) {
        target->state = model_state::unloading;
    }
    self.fail_all(target, NRN_E_CANCELLED, reason);
    std::lock_guard<std::mutex> lock(self.mutex);
    self.models.erase(target->name);
    return !poisoned;
}

json unload_model(device & self, const model_ptr & target, const request_ptr & job) {
    if (!retire(self, target, "Model '" + target->name + "' was unloaded")) {
        return answer_of(*target, 0);
    }
    std::unique_lock<std::shared_timed_mutex> alone(target->use, PATIENCE);
    if (alone.owns_lock()) {
        return free_model(self, target);
    }
    self.leaving.push_back({ target, job, ggml_time_us() + PREPARED_WITHIN_US });
    return nullptr;
}

static void settle(device & self, const leaving_model & entry, bool is_free) {
    log_scope names(self.name, entry.target->name);
    const auto work = [&] {
        return is_free ? free_model(self, entry.target) : leak_model(*entry.target);
    };
    if (entry.job) {
        end_job(self, entry.job, work);
        return;
    }
    try {
        work();
    } catch (const failure & e) {
        log_line(log_level::error, e.what());
    }
}

void settle_leaving(device & self) {
    for (size_t i = 0; i < self.leaving.size();) {
        const leaving_model entry = self.leaving[i];
        std::unique_lock<std::shared_timed_mutex> alone(entry.target->use, std::try_to_lock);
        if (!alone.owns_lock() && ggml_time_us() < entry.until_us) {
            i++;
            continue;
        }
        self.leaving.erase(self.leaving.begin() + (ptrdiff_t)i);
        self.doing = "job";
        settle(self, entry, alone.owns_lock());
    }
}

void unload_all(device & self, const std::string & reason) {
    std::vector<model_ptr> loaded;
    {
        std::lock_guard<std::mutex> lock(self.mutex);
        for (const auto & entry : self.models) {
            loaded.push_back(entry.second);
        }
    }
    const int64_t until_us = ggml_time_us() + PREPARED_WITHIN_US;
    for (const auto & target : loaded) {
        if (retire(self, target, reason)) {
            self.leaving.push_back({ target, nullptr, until_us });
        }
    }
    for (const leaving_model & entry : self.leaving) {
        const int64_t left_us = std::max<int64_t>(0, until_us - ggml_time_us());
        std::unique_lock<std::shared_timed_mutex> alone(
            entry.target->use, std::chrono::microseconds(left_us));
        settle(self, { entry.target, nullptr, until_us }, alone.owns_lock());
    }
    self.leaving.clear();
}

} // namespace nrn
