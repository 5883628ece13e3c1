// What this host has: ggml's devices, the CPU and its memory.
#pragma once

#include "failure.h"

#include "ggml-backend.h"

#include <string>
#include <vector>

namespace nrn {

struct host_bytes {
    uint64_t total = 0;
    uint64_t free = 0;
};

/* Memory that this process may still use: /proc/meminfo, or the cgroup's limit where that is less.
 */
host_bytes host_memory();

/* Throws NRN_E_NOT_FOUND for an index that discovery did not report. */
ggml_backend_dev_t device_at(int index);
/* -1 for a device that discovery does not list, such as the one behind split mode tensor. */
int index_of(ggml_backend_dev_t dev);
int host_index();

/* A CPU's is the host's. */
host_bytes device_memory(int index);

/* Whether a device is another host's. */
bool is_remote(int index);

/* The same without an abort where that host is lost; false with the cause. */
bool ask_memory(int index, host_bytes & memory, std::string & cause);

/* Throws NRN_E_STATE when one of these devices is another host's that cannot be reached. */
void check_remotes(const std::vector<int> & indices);

/*
 * Keeps the calling thread, and those that it starts, to these CPUs, and prefers a node's memory; an
 * empty list and -1 leave both as they are. Throws NRN_E_ARGUMENT for CPUs that cannot be used.
 */
void bind_thread(const std::vector<int> & cpus, int numa_node);

/* Usable cores less one for the main thread, at least 1. */
int32_t default_threads();

/* Usable cores, for the models of a device of CPUs alone to share; 0 where one of the devices is none. */
int32_t cores_for_steps(const std::vector<int> & indices);

json discover();

} // namespace nrn
