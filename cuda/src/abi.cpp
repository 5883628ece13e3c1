// The C boundary: checks arguments, finds handles, turns every exception into a status and a text.
#include "neuron.h"

#include "device.h"
#include "discovery.h"
#include "events.h"
#include "faults.h"
#include "rpc.h"

#include <algorithm>
#include <clocale>
#include <cstring>

namespace nrn {

extern bool g_test_faults;

static thread_local std::string t_last_error;
static std::mutex g_mutex;
static bool g_ready = false;
static uint64_t g_next_handle = 1;
static std::map<uint64_t, device_ptr> g_devices;

static int32_t fail_with(int32_t status, const std::string & text) {
    t_last_error = text;
    return status;
}

template <typename F> static int32_t guarded(F && body) {
    try {
        std::string cause;
        int32_t status = NRN_OK;
        if (!run_guarded([&] { status = body(); }, cause)) {
            return fail_with(NRN_E_FAULT, cause);
        }
        return status;
    } catch (const failure & e) {
        return fail_with(e.status, e.what());
    } catch (const common_json_error & e) {
        return fail_with(NRN_E_ARGUMENT, e.what());
    } catch (const std::bad_alloc &) {
        return fail_with(NRN_E_MEMORY, "Out of host memory");
    } catch (const std::exception & e) {
        return fail_with(NRN_E_INTERNAL, e.what());
    } catch (...) {
        return fail_with(NRN_E_INTERNAL, "Unknown exception");
    }
}

static json parse_options(const char * text, uint32_t length) {
    if (length == 0) {
        return json::object();
    }
    json options = json::parse(std::string(text, length));
    if (!options.is_object()) {
        throw failure(NRN_E_ARGUMENT, "Options must be a JSON object");
    }
    return options;
}

static void require_ready() {
    std::lock_guard<std::mutex> lock(g_mutex);
    if (!g_ready) {
        throw failure(NRN_E_STATE, "nrn_init has not been called");
    }
}

static device_ptr find_device(uint64_t handle) {
    std::lock_guard<std::mutex> lock(g_mutex);
    const auto it = g_devices.find(handle);
    if (it == g_devices.end()) {
        throw failure(NRN_E_NOT_FOUND, "No open device has the handle " + std::to_string(handle));
    }
    return it->second;
}

static device_ptr find_own_device(uint64_t handle) {
    device_ptr found = find_device(handle);
    if (found->owner != std::this_thread::get_id()) {
        throw failure(
            NRN_E_STATE, "Device '" + found->name + "' belongs to the thread that opened it");
    }
    return found;
}

static int32_t copy_out(
    const std::string & text, char * out, uint32_t capacity, uint32_t * written) {
    *written = (uint32_t)text.size();
    if (text.size() > capacity) {
        return fail_with(
            NRN_E_BUFFER, "The answer needs " + std::to_string(text.size()) + " bytes");
    }
    memcpy(out, text.data(), text.size());
    return NRN_OK;
}

static void set_up(const json & options) {
    std::lock_guard<std::mutex> lock(g_mutex);
    const std::string level = get_or<std::string>(options, "log_level", "warn");
    const char * names[] = { "debug", "info", "warn", "error" };
    const auto found = std::find(std::begin(names), std::end(names), level);
    if (found == std::end(names)) {
        throw failure(NRN_E_ARGUMENT,
            "'log_level' is \"" + level + "\", must be one of debug, info, warn, error");
    }
    const int64_t bytes_max = get_or(options, "event_bytes_max", 64 << 20, 1 << 12, INT32_MAX);
    event_ring::get().open((size_t)bytes_max);
    set_log_level((log_level)(found - std::begin(names)));
    g_test_faults = g_test_faults || get_or<bool>(options, "test_faults", false);
    if (!g_ready) {
        std::setlocale(LC_NUMERIC, "C"); /* llama.cpp formats numbers with it */
        install_abort_callback();
        install_log_sinks();
        llama_backend_init();
        g_ready = true;
    }
}

static void initialise(const json & options) {
    set_up(options);
    /* Without the lock, since a server may take seconds to answer. */
    for (const auto & endpoint : get_or<std::vector<std::string>>(options, "rpc_servers", {})) {
        add_rpc_server(endpoint);
    }
}

static uint64_t open_device(const json & options) {
    auto opened = std::make_shared<device>();
    opened->indices = get_or<std::vector<int>>(options, "devices", {});
    if (opened->indices.empty()) {
        throw failure(NRN_E_ARGUMENT, "'devices' must name at least one device");
    }
    for (int index : opened->indices) {
        opened->name += (opened->name.empty() ? "" : "+") +
                        std::string(ggml_backend_dev_name(device_at(index)));
    }
    opened->name = get_or<std::string>(options, "name", opened->name);
    opened->requests_max = (int32_t)get_or(options, "requests_max", 512, 1, 1 << 20);
    /* First, because the threads that are started from this one keep to the same CPUs. */
    bind_thread(get_or<std::vector<int>>(options, "cpus", {}),
        (int)get_or(options, "numa_node", -1, -1, 1023));
    opened->cores = cores_for_steps(opened->indices);
    opened->owner = std::this_thread::get_id();
    opened->step_seconds = (double)get_or(options, "step_ms", 200, 20, 10000) / 1000;
    opened->prepare_seconds = (double)get_or(options, "prepare_ms", 20000, 100, 600000) / 1000;
    opened->turn_us = ggml_time_us();
    start_preparing(*opened);
    opened->result_thread = start_helper(
        "nrn-results", [self = opened.get()] { run_result_thread(*self); });
    std::lock_guard<std::mutex> lock(g_mutex);
    opened->handle = g_next_handle++;
    g_devices[opened->handle] = opened;
    return opened->handle;
}

} // namespace nrn

using namespace nrn;

uint32_t nrn_abi_version(void) {
    return NRN_ABI_STAMP;
}

int32_t nrn_init(const char * options, uint32_t options_length) {
    return guarded([&] {
        initialise(parse_options(options, options_length));
        return NRN_OK;
    });
}

int32_t nrn_last_error(char * out, uint32_t capacity) {
    memcpy(out, t_last_error.data(), std::min<size_t>(capacity, t_last_error.size()));
    return (int32_t)t_last_error.size();
}

int32_t nrn_devices(char * out, uint32_t capacity, uint32_t * written) {
    return guarded([&] {
        require_ready();
        return copy_out(discover().dump_safe(), out, capacity, written);
    });
}

int32_t nrn_device_open(const char * options, uint32_t options_length, uint64_t * handle) {
    return guarded([&] {
        require_ready();
        *handle = open_device(parse_options(options, options_length));
        return NRN_OK;
    });
}

int32_t nrn_device_run(uint64_t handle, uint32_t slice_ms) {
    return guarded([&] { return run_slice(*find_own_device(handle), slice_ms); });
}

int32_t nrn_device_stop(uint64_t handle) {
    return guarded([&] {
        const device_ptr found = find_device(handle);
        found->stopping = true;
        found->kick();
        return NRN_OK;
    });
}

int32_t nrn_device_close(uint64_t handle) {
    return guarded([&] {
        const device_ptr found = find_own_device(handle);
        {
            std::lock_guard<std::mutex> lock(g_mutex);
            g_devices.erase(handle);
        }
        if (!close_device(*found)) {
            new device_ptr(found); /* a helper thread still uses it */
        }
        return NRN_OK;
    });
}

int32_t nrn_job(uint64_t handle, uint64_t request, const char * job, uint32_t job_length) {
    return guarded([&] {
        submit_job(*find_device(handle), request, std::string(job, job_length));
        return NRN_OK;
    });
}

int32_t nrn_submit(uint64_t handle, uint64_t request, uint32_t kind, const char * model,
    uint32_t model_length, const char * body, uint32_t body_length) {
    return guarded([&] {
        submit(*find_device(handle), request, kind, std::string(model, model_length),
            std::string(body, body_length));
        return NRN_OK;
    });
}

int32_t nrn_cancel(uint64_t handle, uint64_t request) {
    return guarded([&] {
        if (!cancel(*find_device(handle), request)) {
            return fail_with(
                NRN_E_NOT_FOUND, "Request " + std::to_string(request) + " has ended or never was");
        }
        return (int32_t)NRN_OK;
    });
}

int32_t nrn_device_figures(uint64_t handle, char * out, uint32_t capacity, uint32_t * written) {
    return guarded([&] {
        return copy_out(figures_of(*find_device(handle)).dump_safe(), out, capacity, written);
    });
}

int32_t nrn_event_fd(void) {
    return guarded([&] {
        require_ready();
        return (int32_t)event_ring::get().doorbell();
    });
}

int32_t nrn_drain(uint8_t * out, uint32_t capacity, uint32_t * written) {
    return guarded([&] { return event_ring::get().drain(out, capacity, written); });
}

int32_t nrn_rpc_serve(const char * options, uint32_t options_length) {
    return guarded([&] {
        require_ready();
        serve_rpc(parse_options(options, options_length));
        return NRN_OK;
    });
}
