// A job's fields as llama.cpp's parameters.
#include "model.h"

#include "discovery.h"
#include "recent.h"

#include "gguf.h"
#include "speculative.h"

#include <algorithm>
#include <filesystem>

namespace nrn {

static constexpr int64_t CONTEXT_MAX = 1 << 30;
static constexpr int64_t SLOTS_MAX = 256;   /* LLAMA_MAX_SEQ */
static constexpr int64_t THREADS_MAX = 512; /* GGML_MAX_N_THREADS */
/* How long a pool's threads spin after a graph before they sleep, by ggml's scale: some milliseconds, enough for the
 * sampling between two steps. Its 50 are up to 0.3 s, in which an idle model's threads take cores from others. */
static constexpr int64_t POLL = 1;
/* A prompt of an embedding model must fit one physical batch; larger ones cost compute memory for
 * every load. */
static constexpr int32_t EMBEDDING_BATCH = 2048;

static ggml_type cache_type(const json & job, const char * key) {
    const std::string text = get_or<std::string>(job, key, "f16");
    for (const ggml_type type : { GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0,
             GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_IQ4_NL, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1 }) {
        if (text == ggml_type_name(type)) {
            return type;
        }
    }
    throw failure(
        NRN_E_ARGUMENT, std::string("'") + key + "' is not a cache type: \"" + text + "\"");
}

template <typename T>
static T choose(const json & job, const char * key, const char * fallback,
    std::initializer_list<std::pair<const char *, T>> values) {
    const std::string text = get_or<std::string>(job, key, fallback);
    std::string allowed;
    for (const auto & value : values) {
        if (text == value.first) {
            return value.second;
        }
        allowed += (allowed.empty() ? "" : ", ") + std::string(value.first);
    }
    throw failure(NRN_E_ARGUMENT,
        std::string("'") + key + "' is \"" + text + "\", must be one of " + allowed);
}

struct file_facts {
    int64_t context_length = 0;
    bool has_pooling = false;
};

/* Reads what the header says about context and pooling, and refuses what is no GGUF before anything
 * is set up for it. */
static file_facts read_facts(const std::string & path) {
    static recent<file_facts> known;
    const std::string identity = identity_of(path);
    if (const auto facts = known.find(identity)) {
        return *facts;
    }
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
        throw failure(NRN_E_LOAD, "Cannot load '" + path + "': no such file");
    }
    gguf_init_params init = { /*no_alloc =*/true, /*ctx =*/nullptr };
    gguf_context * file = gguf_init_from_file(path.c_str(), init);
    if (!file) {
        throw failure(NRN_E_LOAD, "Cannot load '" + path + "': not a readable GGUF file");
    }
    file_facts facts;
    const int64_t arch_key = gguf_find_key(file, "general.architecture");
    if (arch_key >= 0 && gguf_get_kv_type(file, arch_key) == GGUF_TYPE_STRING) {
        const std::string arch = gguf_get_val_str(file, arch_key);
        const int64_t length_key = gguf_find_key(file, (arch + ".context_length").c_str());
        if (length_key >= 0 && gguf_get_kv_type(file, length_key) == GGUF_TYPE_UINT32) {
            facts.context_length = gguf_get_val_u32(file, length_key);
        }
        facts.has_pooling = gguf_find_key(file, (arch + ".pooling_type").c_str()) >= 0;
    }
    gguf_free(file);
    known.keep(identity, facts);
    return facts;
}

static void set_devices(
    common_params & params, const json & job, const std::vector<int> & indices) {
    std::vector<ggml_backend_dev_t> accelerators;
    for (int index : indices) {
        ggml_backend_dev_t dev = device_at(index);
        if (ggml_backend_dev_type(dev) != GGML_BACKEND_DEVICE_TYPE_CPU) {
            accelerators.push_back(dev);
        }
    }
    const bool offload = !accelerators.empty();
    params.n_gpu_layers = offload ? (int32_t)get_or(job, "gpu_layers", -2, -2, 100000) : 0;
    params.mmproj_use_gpu = offload;
    params.mmproj_device = offload ? accelerators[0] : nullptr;
    params.main_gpu = (int32_t)get_or(job, "main_device", 0, 0, 127);
    params.split_mode = choose<llama_split_mode>(job, "split_mode", "layer",
        { { "layer", LLAMA_SPLIT_MODE_LAYER }, { "row", LLAMA_SPLIT_MODE_ROW },
            { "tensor", LLAMA_SPLIT_MODE_TENSOR }, { "none", LLAMA_SPLIT_MODE_NONE } });
    const auto split = get_or<std::vector<float>>(job, "tensor_split", {});
    if (split.size() > accelerators.size()) {
        throw failure(NRN_E_ARGUMENT, "'tensor_split' has " + std::to_string(split.size()) +
                                          " parts for " + std::to_string(accelerators.size()) +
                                          " devices");
    }
    std::copy(split.begin(), split.end(), params.tensor_split);
    /* llama.cpp reads the list up to a null; an empty one would mean every device of the host. */
    accelerators.push_back(nullptr);
    params.devices = accelerators;
}

static void set_sizes(common_params & params, const json & job, const file_facts & facts) {
    params.n_parallel = (int32_t)get_or(job, "slots", 4, 1, SLOTS_MAX);
    int64_t context = get_or(job, "context", 0, 0, CONTEXT_MAX);
    if (facts.context_length > 0 && (context == 0 || context > facts.context_length)) {
        context = facts.context_length; /* llama.cpp would cap a slot there and waste the rest */
    }
    if (context * params.n_parallel > INT32_MAX) {
        throw failure(NRN_E_ARGUMENT, "'context' times 'slots' is " +
                                          std::to_string(context * params.n_parallel) +
                                          ", too large");
    }
    params.n_ctx = (int32_t)context * params.n_parallel;
    params.kv_unified = false; /* each slot keeps its whole context */
    params.n_batch = (int32_t)get_or(job, "batch", 2048, 32, 1 << 20);
    params.n_ubatch = (int32_t)get_or(job, "ubatch", 512, 32, 1 << 20);
    if (params.embedding) {
        params.n_ubatch = (int32_t)get_or(job, "ubatch",
            std::max<int64_t>(512, std::min<int64_t>(context, EMBEDDING_BATCH)), 32, 1 << 20);
        params.n_batch = params.n_ubatch;
    }
    params.n_ubatch = std::min(params.n_ubatch, params.n_batch);
    params.cpuparams.n_threads = (int32_t)get_or(job, "threads", default_threads(), 1, THREADS_MAX);
    params.cpuparams_batch = params.cpuparams;
    params.cpuparams_batch.n_threads =
        (int32_t)get_or(job, "threads_batch", params.cpuparams.n_threads, 1, THREADS_MAX);
    params.cpuparams.poll = params.cpuparams_batch.poll = (uint32_t)get_or(job, "poll", POLL, 0, 100);
    params.cache_ram_mib = (int32_t)get_or(job, "prompt_cache_mib", 1024, 0, INT32_MAX);
    params.cache_idle_slots = params.cache_ram_mib > 0;
}

static void set_embedding(common_params & params, const json & job, const file_facts & facts) {
    const bool rerank = get_or<bool>(job, "reranking", false);
    params.embedding = get_or<bool>(job, "embedding", false) || rerank;
    if (!params.embedding) {
        return;
    }
    /* Without a pooling of its own a model would give one vector per token, which /v1/embeddings
     * cannot carry. */
    const char * fallback = rerank ? "rank" : facts.has_pooling ? "model" : "mean";
    params.pooling_type = choose<enum llama_pooling_type>(job, "pooling", fallback,
        { { "model", LLAMA_POOLING_TYPE_UNSPECIFIED }, { "mean", LLAMA_POOLING_TYPE_MEAN },
            { "cls", LLAMA_POOLING_TYPE_CLS }, { "last", LLAMA_POOLING_TYPE_LAST },
            { "rank", LLAMA_POOLING_TYPE_RANK } });
}

static void set_draft(common_params & params, const json & draft) {
    auto & own = params.speculative.draft;
    own.mparams.path = get_or<std::string>(draft, "path", "");
    own.n_max = (int32_t)get_or(draft, "tokens_max", own.n_max, 1, 64);
    own.n_min = (int32_t)get_or(draft, "tokens_min", own.n_min, 0, own.n_max);
    own.n_gpu_layers = params.n_gpu_layers;
    read_facts(own.mparams.path); /* refuses what is no GGUF */
    params.speculative.types = common_speculative_types_from_gguf(own.mparams.path);
    if (params.speculative.types.empty()) {
        params.speculative.types = { COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE };
    }
}

/* Drafts from the text so far, without a draft model. */
static void set_ngram(common_params & params, const json & ngram) {
    auto & all = params.speculative;
    const auto type = choose<common_speculative_type>(ngram, "type", "ngram-simple",
        { { "ngram-simple", COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE },
            { "ngram-map-k", COMMON_SPECULATIVE_TYPE_NGRAM_MAP_K },
            { "ngram-map-k4v", COMMON_SPECULATIVE_TYPE_NGRAM_MAP_K4V },
            { "ngram-mod", COMMON_SPECULATIVE_TYPE_NGRAM_MOD },
            { "ngram-cache", COMMON_SPECULATIVE_TYPE_NGRAM_CACHE } });
    for (auto * map : { &all.ngram_simple, &all.ngram_map_k, &all.ngram_map_k4v }) {
        map->size_n = (uint16_t)get_or(ngram, "lookup", map->size_n, 1, 256);
        map->size_m = (uint16_t)get_or(ngram, "tokens_max", map->size_m, 1, 256);
        map->min_hits = (uint16_t)get_or(ngram, "hits_min", map->min_hits, 1, 256);
    }
    all.ngram_mod.n_match = (int32_t)get_or(ngram, "lookup", all.ngram_mod.n_match, 1, 256);
    all.ngram_mod.n_max = (int32_t)get_or(ngram, "tokens_max", all.ngram_mod.n_max, 1, 256);
    all.ngram_mod.n_min = std::min(all.ngram_mod.n_min, all.ngram_mod.n_max);
    if (!all.has_dft()) {
        all.types.clear();
    }
    all.types.push_back(type);
}

static void set_adapters(common_params & params, const json & list) {
    for (const json & entry : list) {
        common_adapter_lora_info adapter = {};
        adapter.path = get_or<std::string>(entry, "path", "");
        adapter.scale = get_or<float>(entry, "scale", 1.0f);
        read_facts(adapter.path);
        params.lora_adapters.push_back(adapter);
    }
}

static void set_extras(common_params & params, const json & job) {
    params.mmproj.path = get_or<std::string>(job, "mmproj", "");
    if (job.contains("draft") && job.at("draft").is_object()) {
        set_draft(params, job.at("draft"));
    }
    if (job.contains("ngram") && job.at("ngram").is_object()) {
        set_ngram(params, job.at("ngram"));
    }
    if (job.contains("lora") && job.at("lora").is_array()) {
        set_adapters(params, job.at("lora"));
    }
    params.prefill_assistant = false; /* settle_continuation says what is continued */
    params.chat_template = get_or<std::string>(job, "chat_template", "");
}

common_params params_from_job(const json & job, const std::vector<int> & indices) {
    const std::string path = get_or<std::string>(job, "path", "");
    if (path.empty()) {
        throw failure(NRN_E_ARGUMENT, "'path' is required");
    }
    const file_facts facts = read_facts(path);
    common_params params;
    params.model.path = path;
    params.model_alias = { get_or<std::string>(job, "model", path) };
    params.fit_params = false;
    params.verbosity = common_log_get_verbosity_thold();
    set_embedding(params, job, facts);
    set_sizes(params, job, facts);
    set_devices(params, job, indices);
    /* A driver compiles and allocates in its first step; a CPU's step has nothing to get ready for. */
    const bool has_accelerator = params.devices.front() != nullptr;
    params.warmup = get_or<bool>(job, "warmup", has_accelerator);
    params.cache_type_k = cache_type(job, "cache_type_k");
    params.cache_type_v = cache_type(job, "cache_type_v");
    params.flash_attn_type = choose<llama_flash_attn_type>(job, "flash_attention", "auto",
        { { "auto", LLAMA_FLASH_ATTN_TYPE_AUTO }, { "on", LLAMA_FLASH_ATTN_TYPE_ENABLED },
            { "off", LLAMA_FLASH_ATTN_TYPE_DISABLED } });
    set_extras(params, job);
    return params;
}

} // namespace nrn
