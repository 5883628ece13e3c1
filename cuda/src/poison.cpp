// What becomes of a model or device after a fault, and the tests' way to cause one on the real
// path.
#include "device.h"
#include "discovery.h"
#include "events.h"
#include "faults.h"

namespace nrn {

bool g_test_faults = false;
thread_local const char * current_phase = "";

static void push_fault(
    const device & self, const json & model_name, const char * scope, const std::string & cause) {
    const json fault = { { "device", self.name }, { "model", model_name }, { "scope", scope },
        { "cause", cause }, { "phase", current_phase } };
    event_ring::get().push(NRN_EVENT_FAULT, 0, NRN_E_FAULT, fault.dump_safe());
}

static void mark_poisoned(device & self, const model_ptr & target, const std::string & cause) {
    target->cause = cause;
    target->state = model_state::poisoned;
    target->step_results.clear();
    log_line(log_level::error, "model '" + target->name + "' is poisoned: " + cause);
    push_fault(self, target->name, "model", cause);
    self.fail_all(target, NRN_E_FAULT,
        "Model '" + target->name + "' failed on device '" + self.name + "': " + cause);
    {
        std::lock_guard<std::mutex> lock(target->shown_mutex);
        target->shown.n_prefilling = 0;
        target->shown.n_decoding = 0;
        target->shown.n_deferred = 0;
    }
    target->figures = target->shown;
}

void poison_model(device & self, const model_ptr & target, const std::string & cause) {
    mark_poisoned(self, target, cause);
    probe_device(self, cause);
}

void poison_device(device & self, const std::string & cause) {
    if (self.poisoned) {
        return;
    }
    wait_for_steps(self); /* what they come to is dropped with their models */
    {
        std::lock_guard<std::mutex> lock(self.mutex);
        self.poison_cause = cause;
    }
    self.poisoned = true;
    for (const auto & entry : self.models) {
        if (entry.second->state != model_state::poisoned) {
            entry.second->cause = cause;
            entry.second->state = model_state::poisoned;
        }
    }
    log_line(log_level::error, "device '" + self.name + "' is poisoned: " + cause);
    push_fault(self, nullptr, "device", cause);
    end_everything(self, NRN_E_FAULT, "Device '" + self.name + "' failed: " + cause);
}

/* Another host that is lost took what it held of every model along; it may come back, so the device
 * stays. */
static void lose_remote(device & self, int index, const std::string & cause) {
    for (const auto & entry : self.models) {
        const model_ptr & each = entry.second;
        if (each->state == model_state::ready && each->bytes.count(index) > 0) {
            mark_poisoned(self, each, cause);
        }
    }
}

/* After a fault: is the device itself still usable? An error that sticks makes every further call
 * fail. */
void probe_device(device & self, const std::string & cause) {
    if (self.fault_poisons_device.exchange(false)) {
        poison_device(self, cause);
        return;
    }
    for (int index : self.indices) {
        ggml_backend_dev_t dev = device_at(index);
        if (ggml_backend_dev_type(dev) == GGML_BACKEND_DEVICE_TYPE_CPU) {
            continue;
        }
        bool usable = false;
        std::string again;
        const bool returned = run_guarded(
            [&] {
                ggml_backend_buffer_t buffer =
                    ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(dev), 4096);
                if (buffer) {
                    ggml_backend_buffer_clear(buffer, 0);
                    ggml_backend_buffer_free(buffer);
                    usable = true;
                }
            },
            again);
        if (!returned && is_remote(index)) {
            lose_remote(self, index, again);
        } else if (!returned || !usable) {
            poison_device(self, cause + (again.empty() ? "" : "; then: " + again));
            return;
        }
    }
}

/* The order that is due at this point, if any. */
static bool take_fault(
    device & self, const char * phase, const std::string & model_name, armed_fault & due) {
    std::lock_guard<std::mutex> lock(self.fault_mutex);
    armed_fault & fault = self.fault;
    if (!fault.active || fault.phase != phase ||
        (!fault.model.empty() && fault.model != model_name) || --fault.after > 0) {
        return false;
    }
    fault.active = false;
    due = fault;
    return true;
}

void fire_fault(device & self, const char * phase, const std::string & model_name) {
    armed_fault fault;
    if (!take_fault(self, phase, model_name, fault)) {
        return;
    }
    if (fault.kind == "hang") {
        std::this_thread::sleep_for(std::chrono::milliseconds(fault.ms));
        return;
    }
    if (fault.kind == "memory") {
        throw std::bad_alloc();
    }
    if (fault.kind == "exception") {
        throw std::runtime_error("injected exception in " + fault.phase);
    }
    self.fault_poisons_device = fault.kind == "device";
    GGML_ABORT("injected fault in %s of model '%s'", phase, model_name.c_str());
}

bool on_tensor(ggml_tensor *, bool ask, void * user_data) {
    auto * hook = static_cast<eval_hook *>(user_data);
    if (ask) {
        fire_fault(*hook->home, current_phase, hook->model);
    }
    return false; /* no tensor's data is wanted */
}

} // namespace nrn
