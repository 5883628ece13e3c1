#include "discovery.h"

#include "events.h"
#include "faults.h"

#include "build-info.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef NRN_CUDA
#include <cuda_runtime_api.h>
#endif

namespace nrn {

static bool read_number(const std::string & path, uint64_t & value) {
    std::ifstream file(path);
    return (bool)(file >> value); /* "max" is no number: no limit */
}

/* A value of a file of "name value" lines, in its own unit; 0 when it is missing. */
static uint64_t read_field(const std::string & path, const std::string & name) {
    std::ifstream file(path);
    std::string key;
    uint64_t value;
    while (file >> key) {
        if (key == name && file >> value) {
            return value;
        }
        file.ignore(256, '\n');
    }
    return 0;
}

static void apply_cgroup(const std::string & folder, const char * limit_file,
    const char * used_file, host_bytes & memory) {
    uint64_t limit;
    uint64_t used;
    if (!read_number(folder + limit_file, limit) || !read_number(folder + used_file, used) ||
        limit >= memory.total) {
        return;
    }
    /* The page cache is given back under pressure. */
    const uint64_t held =
        used - std::min(used, read_field(folder + "/memory.stat", "inactive_file"));
    memory.total = limit;
    memory.free = std::min(memory.free, limit - std::min(limit, held));
}

host_bytes host_memory() {
    host_bytes memory;
    memory.total = read_field("/proc/meminfo", "MemTotal:") * 1024;
    memory.free = read_field("/proc/meminfo", "MemAvailable:") * 1024;
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const bool v2 = line.compare(0, 3, "0::") == 0;
        const bool v1 = line.find(":memory:") != std::string::npos;
        if (!v1 && !v2) {
            continue;
        }
        std::string path = line.substr(line.find(':', line.find(':') + 1) + 1);
        while (true) {
            if (v2) {
                apply_cgroup("/sys/fs/cgroup" + path, "/memory.max", "/memory.current", memory);
            } else {
                apply_cgroup("/sys/fs/cgroup/memory" + path, "/memory.limit_in_bytes",
                    "/memory.usage_in_bytes", memory);
            }
            if (path.empty() || path == "/") {
                break;
            }
            path = path.substr(0, path.rfind('/'));
        }
    }
    return memory;
}

ggml_backend_dev_t device_at(int index) {
    if (index < 0 || (size_t)index >= ggml_backend_dev_count()) {
        throw failure(NRN_E_NOT_FOUND, "No device " + std::to_string(index) + ": this host has " +
                                           std::to_string(ggml_backend_dev_count()));
    }
    return ggml_backend_dev_get(index);
}

int index_of(ggml_backend_dev_t dev) {
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        if (ggml_backend_dev_get(i) == dev) {
            return (int)i;
        }
    }
    return -1; /* a wrapper around several devices has no index of its own */
}

int host_index() {
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        if (ggml_backend_dev_type(ggml_backend_dev_get(i)) == GGML_BACKEND_DEVICE_TYPE_CPU) {
            return (int)i;
        }
    }
    return 0;
}

host_bytes device_memory(int index) {
    ggml_backend_dev_t dev = device_at(index);
    if (ggml_backend_dev_type(dev) == GGML_BACKEND_DEVICE_TYPE_CPU) {
        return host_memory();
    }
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(dev, &free, &total);
    return { total, free };
}

bool is_remote(int index) {
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(device_at(index));
    return std::string(ggml_backend_reg_name(reg)) == "RPC";
}

bool ask_memory(int index, host_bytes & memory, std::string & cause) {
    return run_guarded([&] { memory = device_memory(index); }, cause);
}

void check_remotes(const std::vector<int> & indices) {
    for (int index : indices) {
        host_bytes memory;
        std::string cause;
        if (is_remote(index) && !ask_memory(index, memory, cause)) {
            throw failure(
                NRN_E_STATE, "Device " + std::to_string(index) + " is not there now: " + cause);
        }
    }
}

static int usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

void bind_thread(const std::vector<int> & cpus, int numa_node) {
    if (!cpus.empty()) {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (int cpu : cpus) {
            if (cpu >= 0 && cpu < CPU_SETSIZE) {
                CPU_SET(cpu, &set);
            }
        }
        if (sched_setaffinity(0, sizeof(set), &set) != 0) {
            throw failure(
                NRN_E_ARGUMENT, std::string("'cpus' cannot be used: ") + strerror(errno));
        }
    }
    if (numa_node >= 0) {
        /* Not glibc's: libnuma would be one more library to need. */
        constexpr int PREFERRED = 1; /* MPOL_PREFERRED of linux/mempolicy.h */
        constexpr size_t BITS = 8 * sizeof(unsigned long);
        unsigned long mask[1024 / BITS] = {};
        mask[(size_t)numa_node / BITS] = 1ul << ((size_t)numa_node % BITS);
        if (syscall(SYS_set_mempolicy, PREFERRED, mask, 1024 + 1) != 0) {
            log_line(log_level::warn, "memory of NUMA node " + std::to_string(numa_node) +
                                          " cannot be preferred: " + strerror(errno));
        }
    }
}

int32_t default_threads() {
    return std::max(1, usable_cores() - 1);
}

int32_t cores_for_steps(const std::vector<int> & indices) {
    for (int index : indices) {
        if (ggml_backend_dev_type(device_at(index)) != GGML_BACKEND_DEVICE_TYPE_CPU) {
            return 0;
        }
    }
    return usable_cores();
}

static const char * kind_of(ggml_backend_dev_t dev, const std::string & backend) {
    if (backend == "RPC") {
        return "remote";
    }
    switch (ggml_backend_dev_type(dev)) {
    case GGML_BACKEND_DEVICE_TYPE_CPU:
        return "cpu";
    case GGML_BACKEND_DEVICE_TYPE_GPU:
        return "gpu";
    case GGML_BACKEND_DEVICE_TYPE_IGPU:
        return "integrated";
    default:
        return "accelerator";
    }
}

static json compute_capability(const char * pci) {
#ifdef NRN_CUDA
    int ordinal = 0;
    int major = 0;
    int minor = 0;
    if (pci && cudaDeviceGetByPCIBusId(&ordinal, pci) == cudaSuccess &&
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal) == cudaSuccess &&
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, ordinal) == cudaSuccess) {
        return std::to_string(major) + "." + std::to_string(minor);
    }
#else
    (void)pci;
#endif
    return nullptr;
}

/* The version of NVIDIA's kernel driver, such as 580.95.05. */
static json cuda_driver(const std::string & backend) {
    std::ifstream file("/proc/driver/nvidia/version");
    std::string line;
    if (backend != "CUDA" || !std::getline(file, line)) {
        return nullptr;
    }
    /* NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025 */
    std::istringstream words(line);
    for (std::string word; words >> word;) {
        if (std::isdigit((unsigned char)word[0]) && word.find('.') != std::string::npos) {
            return word;
        }
    }
    return nullptr;
}

/* A remote device whose server is lost aborts when it is asked: it is still listed, with no memory.
 */
static bool ask_device(size_t index, ggml_backend_dev_props & props, host_bytes & memory) {
    std::string cause;
    return run_guarded(
        [&] {
            memory = device_memory((int)index);
            ggml_backend_dev_get_props(ggml_backend_dev_get(index), &props);
        },
        cause);
}

static json describe(size_t index) {
    ggml_backend_dev_t dev = ggml_backend_dev_get(index);
    const std::string backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(dev));
    const std::string kind = kind_of(dev, backend);
    ggml_backend_dev_props props = {};
    host_bytes memory;
    if (!ask_device(index, props, memory)) {
        memory = {};
    }
    json pci = nullptr;
    if (props.device_id) {
        pci = props.device_id;
    }
    json device = {
        { "index", index },
        { "kind", kind },
        { "backend", backend },
        { "name", ggml_backend_dev_name(dev) },
        { "description", ggml_backend_dev_description(dev) },
        { "compute_capability", compute_capability(props.device_id) },
        { "pci", pci },
        { "driver", cuda_driver(backend) },
        { "endpoint", kind == "remote" ? json(ggml_backend_dev_description(dev)) : json(nullptr) },
        { "memory_total_bytes", memory.total },
        { "memory_free_bytes", memory.free },
    };
    if (kind == "cpu") {
        device["cores"] = usable_cores();
    }
    return device;
}

static json backends() {
    json names = json::array();
    for (size_t i = 0; i < ggml_backend_reg_count(); i++) {
        names.push_back(ggml_backend_reg_name(ggml_backend_reg_get(i)));
    }
    return names;
}

static bool has_nccl() {
#ifdef GGML_USE_NCCL
    return true;
#else
    return false;
#endif
}

json discover() {
    json devices = json::array();
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        devices.push_back(describe(i));
    }
    json architectures = json::array();
    const std::string all = NRN_CUDA_ARCH;
    for (size_t start = 0; start < all.size();) {
        const size_t end = std::min(all.find(';', start), all.size());
        architectures.push_back(all.substr(start, end - start));
        start = end + 1;
    }
    return json{
        { "engine", "llama.cpp" },
        { "build", NRN_BUILD_LABEL },
        { "flavour", NRN_FLAVOUR },
        { "backends", backends() },
        { "cuda_architectures", architectures },
        { "nccl", has_nccl() },
        { "devices", devices },
    };
}

} // namespace nrn
