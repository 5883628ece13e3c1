// Stepping the models. On a device with accelerators one step follows another on the device thread. A device of CPUs
// alone has cores for several: there the models that have work step beside each other, each on a thread of its own,
// and the device thread only says whose turn it is.
#include "device.h"
#include "events.h"
#include "faults.h"
#include "pace.h"

#include <algorithm>

namespace nrn {

/* Whatever was in the batch is lost with its slots' state: all of the model's requests end, and
 * their slots are freed. */
static void end_requests(device & self, const model_step & step) {
    const model_ptr & current = step.target;
    log_line(
        log_level::warn, "a step panicked; model NOT marked poisoned: " + step.cause);
    std::vector<server_task> cancels;
    {
        std::lock_guard<std::mutex> lock(current->tasks_mutex);
        for (const auto & entry : current->tasks) {
            cancels.emplace_back(SERVER_TASK_TYPE_CANCEL);
            cancels.back().id_target = entry.first;
        }
    }
    self.fail_all(current, step.status, "A step failed: " + step.cause);
    current->view->queue.post(std::move(cancels), true);
}

/* On whichever thread has the step: touches nothing but its model. */
static void run_step(device & self, model_step & step) {
    model & target = *step.target;
    log_scope names(self.name, target.name);
    current_phase = step.phase;
    try {
        step.alive = run_guarded(
            [&] {
                target.view->queue.step();
                step.after = target.server->get_figures();
                if (step.after.n_prefilling > 0) {
                    /* Prompt batches without output return before the device is done; a step's time
                     * would mean nothing. */
                    llama_synchronize(target.server->get_llama_context());
                }
            },
            step.cause);
    } catch (const std::bad_alloc &) {
        step.status = NRN_E_MEMORY;
        step.cause = "Out of host memory";
    } catch (const std::exception & e) {
        step.status = NRN_E_INTERNAL;
        step.cause = e.what();
    }
    current_phase = "";
    step.end_us = ggml_time_us();
}

static void take_in(device & self, const model_step & step) {
    const model_ptr & current = step.target;
    log_scope names(self.name, current->name);
    current->in_step = false;
    current->stepped_us = step.end_us;
    current->handed_out = 0;
    self.steps++;
    self.last_step_us = step.end_us;
    self.longest_step_us = std::max(self.longest_step_us.load(), step.end_us - step.start_us);
    if (current->state == model_state::poisoned) {
        current->step_results.clear(); /* by what befell its device meanwhile */
        return;
    }
    if (!step.alive) {
        current_phase = step.phase;
        poison_model(self, current, step.cause);
        current_phase = "";
        return;
    }
    current->figures = step.after;
    if (step.status != NRN_OK) {
        end_requests(self, step);
    }
    hand_over_results(self, current);
    learn_pace(step);
}

void take_in_steps(device & self) {
    std::vector<step_ptr> ended;
    {
        std::lock_guard<std::mutex> lock(self.step_mutex);
        ended.swap(self.steps_ended);
    }
    for (const step_ptr & step : ended) {
        auto & away = self.steps_away;
        away.erase(std::remove(away.begin(), away.end(), step), away.end());
        take_in(self, *step);
    }
}

void wait_for_steps(device & self) {
    std::unique_lock<std::mutex> lock(self.step_mutex);
    self.step_end.wait(lock, [&] { return self.steps_running == 0; });
}

// ---- stepping threads ----

static void run_stepping_thread(device & self) {
    std::unique_lock<std::mutex> lock(self.step_mutex);
    while (true) {
        self.step_wake.wait(lock, [&] { return self.closing || !self.steps_due.empty(); });
        if (self.steps_due.empty()) {
            return;
        }
        const step_ptr step = std::move(self.steps_due.front());
        self.steps_due.pop_front();
        lock.unlock();
        run_step(self, *step);
        lock.lock();
        self.steps_ended.push_back(step);
        self.steps_running--;
        self.step_end.notify_all();
        lock.unlock();
        self.kick();
        lock.lock();
    }
}

static void begin_step(device & self, const step_ptr & step) {
    step->target->in_step = true;
    self.steps_away.push_back(step);
    if (self.stepping_threads.size() < self.steps_away.size()) {
        self.stepping_threads.push_back(
            start_helper("nrn-step", [home = &self] { run_stepping_thread(*home); }));
    }
    {
        std::lock_guard<std::mutex> lock(self.step_mutex);
        self.steps_due.push_back(step);
        self.steps_running++;
    }
    self.step_wake.notify_one();
}

bool end_stepping(device & self, int seconds) {
    {
        std::lock_guard<std::mutex> lock(self.step_mutex);
        self.step_wake.notify_all();
    }
    bool all = true;
    for (const pthread_t thread : self.stepping_threads) {
        all = join_within(thread, seconds) && all;
    }
    return all;
}

// ---- whose turn it is ----

/* Tells the model's contexts how many threads they may use from now on. */
static void limit_threads(model & target, int32_t threads_max) {
    if (target.threads_max == threads_max) {
        return;
    }
    target.threads_max = threads_max;
    const int32_t one = std::min(threads_max, target.params.cpuparams.n_threads);
    const int32_t batch = std::min(threads_max, target.params.cpuparams_batch.n_threads);
    llama_set_n_threads(target.server->get_llama_context(), one, batch);
    if (target.view->ctx_dft) {
        llama_set_n_threads(target.view->ctx_dft, one, batch);
    }
}

bool step_next(device & self) {
    const model_ptr current = pick_model(self);
    if (!current) {
        return false;
    }
    const auto step = std::make_shared<model_step>();
    step->target = current;
    step->before = step->after = current->figures;
    step->phase = step->before.n_decoding > 0 ? "decode" : "prefill";
    if (self.cores > 0) {
        const int32_t share = threads_of(self, *current);
        limit_threads(*current, share);
        step->threads = share;
    }
    const int32_t cap = plan_prompt_cap(self, *current);
    if (cap != current->speed.prompt_cap) {
        current->speed.prompt_cap = cap;
        current->server->set_prompt_cap(cap);
    }
    step->start_us = ggml_time_us();
    if (self.cores > 0 && self.models.size() > 1) {
        begin_step(self, step);
        return true;
    }
    self.doing = step->phase;
    run_step(self, *step);
    take_in(self, *step);
    return true;
}

} // namespace nrn
