// What this host has: ggml's devices, the CPU and its memory.
#pragma once

#include "failure.h"

#include "ggml-backend.h"

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

/* Usable cores less one for the main thread, at least 1. */
int32_t default_threads();

json discover();

} // namespace nrn
