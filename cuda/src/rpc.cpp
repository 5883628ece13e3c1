// Serves this host's devices to other hosts.
#include "rpc.h"

#include "discovery.h"
#include "events.h"
#include "faults.h"

#include "ggml-rpc.h"

#include <mutex>
#include <set>
#include <vector>

namespace nrn {

void serve_rpc(const json & options) {
    const std::string host = get_or<std::string>(options, "host", "127.0.0.1");
    const int64_t port = get_or(options, "port", 50052, 1, 65535);
    const std::string cache = get_or<std::string>(options, "cache_dir", "");
    const int64_t threads = get_or(options, "threads", default_threads(), 1, 512);
    std::vector<ggml_backend_dev_t> devices;
    for (int index : get_or<std::vector<int>>(options, "devices", {})) {
        devices.push_back(device_at(index));
    }
    if (devices.empty()) {
        for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
            ggml_backend_dev_t dev = ggml_backend_dev_get(i);
            if (ggml_backend_dev_type(dev) != GGML_BACKEND_DEVICE_TYPE_CPU) {
                devices.push_back(dev);
            }
        }
    }
    if (devices.empty()) {
        devices.push_back(device_at(host_index()));
    }
    const std::string endpoint = host + ":" + std::to_string(port);
    log_line(
        log_level::info, "serving " + std::to_string(devices.size()) + " devices on " + endpoint);
    ggml_backend_rpc_start_server(endpoint.c_str(), cache.empty() ? nullptr : cache.c_str(),
        (size_t)threads, devices.size(), devices.data());
    throw failure(NRN_E_INTERNAL, "The RPC server on " + endpoint + " ended");
}

void add_rpc_server(const std::string & endpoint) {
    static std::mutex mutex;
    static std::set<std::string> known;
    std::lock_guard<std::mutex> lock(mutex);
    if (known.count(endpoint) > 0) {
        return; /* its devices are listed already */
    }
    ggml_backend_reg_t reg = nullptr;
    std::string cause;
    run_guarded([&] { reg = ggml_backend_rpc_add_server(endpoint.c_str()); }, cause);
    if (!reg) {
        throw failure(NRN_E_NOT_FOUND,
            cause.empty() ? "RPC server " + endpoint + " has no devices" : cause);
    }
    ggml_backend_register(reg);
    known.insert(endpoint);
}

} // namespace nrn
