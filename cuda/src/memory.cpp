// What models take and what devices have, in bytes.
#include "model.h"

#include "discovery.h"
#include "events.h"

#include "llama-ext.h"
#include "speculative.h"

#include <algorithm>
#include <filesystem>

namespace nrn {

static void add_bytes(memory_plan & plan, int index, const llama_memory_breakdown_data & bytes,
    bool with_weights, double share) {
    memory_bytes & sum = plan[index];
    sum.weights += with_weights ? (uint64_t)(bytes.model * share) : 0;
    sum.context += (uint64_t)(bytes.context * share);
    sum.compute += (uint64_t)(bytes.compute * share);
}

/* Split mode tensor keeps its buffers on a device that stands for all: each real one holds its
 * part. */
static void spread_bytes(memory_plan & plan, const common_params & params,
    const llama_memory_breakdown_data & bytes, bool with_weights) {
    std::vector<int> indices;
    for (ggml_backend_dev_t dev : params.devices) {
        if (dev) {
            indices.push_back(index_of(dev));
        }
    }
    double whole = 0;
    for (size_t i = 0; i < indices.size(); i++) {
        whole += params.tensor_split[i];
    }
    for (size_t i = 0; i < indices.size(); i++) {
        const double share = whole > 0 ? params.tensor_split[i] / whole : 1.0 / indices.size();
        add_bytes(plan, indices[i], bytes, with_weights, share);
    }
}

static void add_context(memory_plan & plan, const llama_context * context,
    const common_params & params, bool with_weights) {
    for (const auto & entry : llama_get_memory_breakdown(context)) {
        ggml_backend_dev_t dev = ggml_backend_buft_get_device(entry.first);
        /* Pinned host buffers of a GPU are host memory. */
        const int index =
            !dev || ggml_backend_buft_is_host(entry.first) ? host_index() : index_of(dev);
        if (index >= 0) {
            add_bytes(plan, index, entry.second, with_weights, 1.0);
        } else {
            spread_bytes(plan, params, entry.second, with_weights);
        }
    }
}

static void add_projector(memory_plan & plan, const common_params & params) {
    if (params.mmproj.path.empty()) {
        return;
    }
    mtmd_context_params mparams = mtmd_context_params_default();
    mparams.use_gpu = params.mmproj_use_gpu;
    mparams.device = params.mmproj_device;
    mparams.n_threads = params.cpuparams.n_threads;
    mparams.flash_attn_type = params.flash_attn_type;
    mparams.media_marker = get_media_marker();
    for (const auto & entry : mtmd_get_memory_usage(params.mmproj.path.c_str(), mparams)) {
        plan[index_of(entry.first)].weights += entry.second;
    }
}

/* Adapters lie where the tensors lie that they change; without a load only the whole is known. */
static void add_adapters(memory_plan & plan, const common_params & params) {
    if (params.lora_adapters.empty()) {
        return;
    }
    ggml_backend_dev_t first = params.devices.empty() ? nullptr : params.devices[0];
    memory_bytes & home = plan[first ? index_of(first) : host_index()];
    for (const common_adapter_lora_info & adapter : params.lora_adapters) {
        std::error_code error;
        const uintmax_t size = std::filesystem::file_size(adapter.path, error);
        home.weights += error ? 0 : (uint64_t)size;
    }
}

/* The server core limits outputs the same way; a plan without it would count logits for whole
 * batches. */
static void limit_outputs(common_params & params) {
    common_speculative_output_limits limits = { params.n_batch, 1 };
    if (!params.embedding) {
        limits = common_speculative_get_output_limits(
            params.n_batch, params.n_parallel, common_speculative_n_max(&params.speculative));
    }
    params.n_outputs_max = std::max(1, limits.total);
    params.n_outputs_max_per_seq = std::max(1, limits.per_seq);
}

/* Loads without allocation. The logger is left alone, so that other threads may log meanwhile. */
static void add_unallocated(memory_plan & plan, common_params params, const char * what) {
    limit_outputs(params);
    log_capture reasons;
    llama_model_params mparams = common_model_params_to_llama(params);
    mparams.no_alloc = true;
    mparams.load_mode = LLAMA_LOAD_MODE_NONE;
    mparams.progress_callback = nullptr;
    llama_model_ptr loaded(llama_model_load_from_file(params.model.path.c_str(), mparams));
    if (!loaded) {
        throw failure(
            NRN_E_LOAD, std::string("Cannot load ") + what + " '" + params.model.path + "': " +
                            (reasons.text.empty() ? "the file is damaged or of an unknown kind"
                                                  : reasons.text));
    }
    llama_context_params cparams = common_context_params_to_llama(params);
    cparams.cb_eval = nullptr;
    llama_context_ptr context(llama_init_from_model(loaded.get(), cparams));
    if (!context) {
        throw failure(NRN_E_LOAD, std::string("Cannot set up a context for ") + what + " '" +
                                      params.model.path + "': " + reasons.text);
    }
    add_context(plan, context.get(), params, true);
}

memory_plan measure_memory(const common_params & params) {
    memory_plan plan;
    add_unallocated(plan, params, "model");
    if (params.speculative.has_dft()) {
        add_unallocated(plan, common_base_params_to_speculative(params), "draft model");
    }
    add_projector(plan, params);
    add_adapters(plan, params);
    return plan;
}

memory_plan used_memory(
    const llama_context * target, const llama_context * draft, const common_params & params) {
    memory_plan plan;
    add_context(plan, target, params, true);
    if (draft) {
        add_context(plan, draft, params, params.speculative.has_dft());
    }
    add_projector(plan, params);
    add_adapters(plan, params);
    return plan;
}

uint64_t free_memory(int index) {
    return device_memory(index).free;
}

json to_json(const memory_plan & plan) {
    memory_bytes sum;
    for (const auto & entry : plan) {
        sum.weights += entry.second.weights;
        sum.context += entry.second.context;
        sum.compute += entry.second.compute;
    }
    return json{ { "weights", sum.weights }, { "context", sum.context },
        { "compute", sum.compute } };
}

json to_json_by_device(const memory_plan & plan) {
    json devices = json::array();
    for (const auto & entry : plan) {
        const memory_bytes & each = entry.second;
        devices.push_back(json{ { "index", entry.first }, { "bytes", each.total() },
            { "weights", each.weights }, { "context", each.context }, { "compute", each.compute },
            { "free_bytes", free_memory(entry.first) } });
    }
    return devices;
}

/* More than any host has, and far from where sums overflow. */
static constexpr int64_t PLAN_BYTES_MAX = int64_t(1) << 50;

memory_plan plan_from(const json & devices) {
    memory_plan plan;
    for (const json & each : devices) {
        const auto number = [&](const char * key, int64_t max) {
            const int64_t found = each.is_object() ? get_or(each, key, -1, 0, max) : -1;
            if (found < 0) {
                throw failure(NRN_E_ARGUMENT, std::string("A device of 'plan' lacks '") + key + "'");
            }
            return found;
        };
        memory_bytes & bytes = plan[(int)number("index", INT32_MAX)];
        bytes.weights = (uint64_t)number("weights", PLAN_BYTES_MAX);
        bytes.context = (uint64_t)number("context", PLAN_BYTES_MAX);
        bytes.compute = (uint64_t)number("compute", PLAN_BYTES_MAX);
    }
    if (plan.empty()) {
        throw failure(NRN_E_ARGUMENT, "'plan' names no device");
    }
    return plan;
}

static std::string mebibytes(uint64_t bytes) {
    return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

/* Fewer bytes than any model keeps per token; llama.cpp holds 48 of bookkeeping per token even
 * without allocating. */
static constexpr uint64_t CONTEXT_TOKEN_BYTES = 384;

void check_context(const std::string & name, const common_params & params) {
    uint64_t free = host_memory().free;
    for (ggml_backend_dev_t dev : params.devices) {
        free += dev ? device_memory(index_of(dev)).free : 0;
    }
    const uint64_t needed = (uint64_t)params.n_ctx * CONTEXT_TOKEN_BYTES;
    if (needed > free) {
        const json devices = json::array(
            { json{ { "index", host_index() }, { "bytes", needed }, { "free_bytes", free } } });
        throw failure(NRN_E_MEMORY,
            "Cannot load model '" + name + "': a context of " + std::to_string(params.n_ctx) +
                " tokens needs more than " + mebibytes(needed) + ", free are " + mebibytes(free),
            json{ { "devices", devices } });
    }
}

void check_fits(const std::string & name, const memory_plan & plan) {
    json devices = json::array();
    std::string lacking;
    for (const auto & entry : plan) {
        const uint64_t needed = entry.second.total();
        const uint64_t free = free_memory(entry.first);
        devices.push_back(
            json{ { "index", entry.first }, { "bytes", needed }, { "free_bytes", free } });
        if (needed > free) {
            lacking += (lacking.empty() ? "" : ", ") +
                       ("device " + std::to_string(entry.first) + " needs ") + mebibytes(needed) +
                       " and has " + mebibytes(free) + " free";
        }
    }
    if (!lacking.empty()) {
        throw failure(NRN_E_MEMORY, "Cannot load model '" + name + "': " + lacking,
            json{ { "devices", devices } });
    }
}

} // namespace nrn
