// Jobs run by the device thread between steps: load, unload, estimate, memory, KV files and the
// test's faults.
#include "device.h"
#include "discovery.h"
#include "events.h"
#include "faults.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

namespace nrn {

extern bool g_test_faults;

static std::string model_name_of(const json & job) {
    const std::string name = get_or<std::string>(job, "model", "");
    if (name.empty()) {
        throw failure(NRN_E_ARGUMENT, "'model' is required");
    }
    return name;
}

static model_ptr loaded_model(device & self, const json & job) {
    const std::string name = model_name_of(job);
    model_ptr found = self.find_model(name);
    if (!found) {
        throw failure(
            NRN_E_NOT_FOUND, "Model '" + name + "' is not loaded on device '" + self.name + "'");
    }
    return found;
}

// ---- load ----

/* Identifies the weights: size and samples of the file, since fine-tunes of one model differ in
 * nothing else. */
static std::string fingerprint_of(const model & loaded) {
    static constexpr size_t SAMPLES = 64;
    static constexpr size_t SAMPLE_BYTES = 4096;
    std::ifstream file(loaded.params.model.path, std::ios::binary | std::ios::ate);
    const uint64_t size = (uint64_t)file.tellg();
    uint64_t hash = 0xcbf29ce484222325ull;
    std::vector<char> block(SAMPLE_BYTES);
    for (size_t i = 0; i < SAMPLES; i++) {
        file.clear();
        file.seekg((std::streamoff)(size / SAMPLES * i));
        file.read(block.data(), block.size());
        for (std::streamsize k = 0; k < file.gcount(); k++) {
            hash = (hash ^ (unsigned char)block[k]) * 0x100000001b3ull;
        }
    }
    std::string adapters; /* keys and values are other ones with each of them */
    for (const common_adapter_lora_info & each : loaded.params.lora_adapters) {
        adapters += "-" + each.path + "*" + std::to_string(each.scale);
    }
    return std::to_string(size) + "-" + std::to_string(hash) + "-" +
           ggml_type_name(loaded.params.cache_type_k) + "-" +
           ggml_type_name(loaded.params.cache_type_v) + "-" +
           std::to_string((int)loaded.params.flash_attn_type) + "-" +
           (loaded.params.speculative.has_dft() ? loaded.params.speculative.draft.mparams.path
                                                : "") +
           adapters;
}

static void report_progress(const request & job, const std::string & name, const json & payload) {
    const json progress = {
        { "model", name },
        { "stage", json_value(payload, "current", std::string("text_model")) },
        { "value", json_value(payload, "value", 0.0) },
    };
    std::lock_guard<std::mutex> lock(const_cast<std::mutex &>(job.mutex));
    if (!job.ended) {
        event_ring::get().push(NRN_EVENT_PROGRESS, job.id, NRN_OK, progress.dump_safe());
    }
}

static json capabilities_of(const model & loaded) {
    json list = json::array();
    if (loaded.is_reranking()) {
        list.push_back("rerank");
    } else if (loaded.is_embedding()) {
        list.push_back("embeddings");
    } else {
        list.push_back("chat");
        list.push_back("completion");
    }
    if (loaded.meta->has_inp_image) {
        list.push_back("vision");
    }
    if (loaded.meta->has_inp_audio) {
        list.push_back("audio");
    }
    return list;
}

/* Loads into loaded->server; on a fault what was set up is leaked. */
static void load_server(device & self, const request & job, model & loaded) {
    log_capture reasons;
    std::string cause;
    bool ok = false;
    auto * server = new server_context();
    server->set_state_callback([&](server_state state, json payload) {
        self.turn_us = ggml_time_us(); /* whoever sees progress does not take it for a hang */
        fire_fault(self, "load", loaded.name);
        if (job.cancelled) {
            throw std::runtime_error("cancelled");
        }
        if (state == SERVER_STATE_LOADING) {
            report_progress(job, loaded.name, payload);
        }
    });
    current_phase = "load";
    bool alive = true;
    std::string thrown;
    try {
        alive = run_guarded([&] { ok = server->load_model(loaded.params); }, cause);
    } catch (const std::exception & e) {
        thrown = e.what();
    }
    current_phase = "";
    if (!alive) {
        json fault = { { "device", self.name }, { "model", loaded.name }, { "scope", "model" },
            { "cause", cause }, { "phase", "load" } };
        event_ring::get().push(NRN_EVENT_FAULT, 0, NRN_E_FAULT, fault.dump_safe());
        probe_device(self, cause);
        throw failure(NRN_E_FAULT, "Loading model '" + loaded.name + "' aborted: " + cause,
            json{ { "cause", cause } });
    }
    if (ok) {
        server->set_state_callback([](server_state, json) {});
        loaded.server = server;
        return;
    }
    std::string cleanup;
    run_guarded_destructor(
        [](void * argument) { delete static_cast<server_context *>(argument); }, server, cleanup);
    if (job.cancelled) {
        throw failure(NRN_E_CANCELLED, "Loading model '" + loaded.name + "' was cancelled");
    }
    const std::string why = !thrown.empty()        ? thrown
                            : reasons.text.empty() ? "unknown reason"
                                                   : reasons.text;
    const bool memory =
        why.find("alloc") != std::string::npos || why.find("out of memory") != std::string::npos;
    throw failure(
        memory ? NRN_E_MEMORY : NRN_E_LOAD, "Cannot load model '" + loaded.name + "': " + why);
}

static void connect(const model_ptr & loaded) {
    model * target = loaded.get();
    target->params.load_progress_callback = nullptr;
    target->params.load_progress_callback_user_data = nullptr;
    target->meta = std::make_unique<server_context_meta>(target->server->get_meta());
    target->view = std::make_unique<server_context::host_view>(target->server->get_host_view());
    if (target->params.embedding) {
        target->params.pooling_type = target->meta->pooling_type;
    } else {
        target->traits = probe_template(target->meta->chat_params.tmpls.get());
    }
    target->view->results.set_sink([target](server_task_result_ptr && result) {
        target->step_results.push_back(std::move(result));
    });
    target->view->queue.begin();
    target->figures = target->server->get_figures();
    target->shown = target->figures;
    target->bytes =
        used_memory(target->server->get_llama_context(), target->view->ctx_dft, target->params);
    target->fingerprint = fingerprint_of(*target);
}

static std::map<int, uint64_t> free_by_device(const memory_plan & plan) {
    std::map<int, uint64_t> free;
    for (const auto & entry : plan) {
        free[entry.first] = free_memory(entry.first);
    }
    return free;
}

/* What the devices themselves say: drivers take more than the buffers that they are asked for. */
static json taken_since(const std::map<int, uint64_t> & before) {
    json list = json::array();
    for (const auto & entry : before) {
        const uint64_t free = free_memory(entry.first);
        list.push_back(json{ { "index", entry.first },
            { "bytes", entry.second > free ? entry.second - free : 0 } });
    }
    return list;
}

/*
 * A mapped file counts from its first tensor to its last, with all between them that was repacked for the CPU and lies
 * in another buffer, too. Those pages are the page cache's, so what was planned for the tensors is what they take.
 */
static void leave_out_mappings(memory_plan & real, const memory_plan & planned) {
    const auto host = real.find(host_index());
    const auto wanted = planned.find(host_index());
    if (host != real.end() && wanted != planned.end()) {
        host->second.weights = std::min(host->second.weights, wanted->second.weights);
    }
}

static json load(device & self, const request & job) {
    const int64_t start = ggml_time_us();
    const std::string name = model_name_of(job.parsed);
    if (const model_ptr existing = self.find_model(name)) {
        if (existing->state != model_state::poisoned) {
            throw failure(NRN_E_STATE, "Model '" + name + "' is loaded already");
        }
        std::lock_guard<std::mutex> lock(self.mutex);
        self.models.erase(name); /* what it held stays leaked */
    }
    auto loaded = std::make_shared<model>();
    loaded->name = name;
    loaded->home = &self;
    loaded->weight = get_or<double>(job.parsed, "weight", 1.0);
    if (!(loaded->weight > 0)) {
        throw failure(NRN_E_ARGUMENT, "'weight' must be above 0");
    }
    loaded->params = params_from_job(job.parsed, self.indices);
    check_remotes(self.indices);
    check_context(name, loaded->params);
    const memory_plan planned = job.parsed.contains("plan") ? plan_from(job.parsed.at("plan"))
                                                            : measure_memory(loaded->params);
    check_fits(name, planned);
    const std::map<int, uint64_t> before = free_by_device(planned);
    if (g_test_faults) {
        loaded->params.cb_eval = on_tensor;
        loaded->params.cb_eval_user_data =
            new eval_hook{ &self, name }; /* outlives a leaked context */
    }
    load_server(self, job, *loaded);
    connect(loaded);
    leave_out_mappings(loaded->bytes, planned);
    loaded->speed.virtual_time = self.virtual_now;
    const json taken = taken_since(before);
    {
        std::lock_guard<std::mutex> lock(self.mutex);
        self.models[name] = loaded;
    }
    return json{
        { "model", name },
        { "load_ms", (ggml_time_us() - start) / 1000 },
        { "context", loaded->meta->slot_n_ctx },
        { "slots", loaded->figures.n_slots },
        { "bytes", to_json(loaded->bytes) },
        { "devices", to_json_by_device(loaded->bytes) },
        { "taken", taken },
        { "parameters", loaded->meta->model_n_params },
        { "capabilities", capabilities_of(*loaded) },
        { "template_caps", loaded->meta->chat_template_caps },
        { "template_traits", to_json(loaded->traits) },
    };
}

// ---- the other jobs ----

static json estimate(device & self, const request & job) {
    const common_params params = params_from_job(job.parsed, self.indices);
    check_remotes(self.indices);
    check_context(get_or<std::string>(job.parsed, "model", params.model.path), params);
    const memory_plan plan = measure_memory(params);
    return json{
        { "bytes", to_json(plan) },
        { "devices", to_json_by_device(plan) },
        { "context", params.n_ctx / params.n_parallel },
        { "slots", params.n_parallel },
    };
}

static json memory(device & self) {
    json devices = json::array();
    std::set<int> indices(self.indices.begin(), self.indices.end());
    indices.insert(host_index()); /* part of a model may lie there */
    for (int index : indices) {
        host_bytes bytes;
        std::string lost;
        if (is_remote(index)) {
            ask_memory(index, bytes, lost);
        } else {
            bytes = device_memory(index);
        }
        json device = { { "index", index }, { "memory_total_bytes", bytes.total },
            { "memory_free_bytes", bytes.free } };
        if (!lost.empty()) {
            device["lost"] = lost;
        }
        devices.push_back(device);
    }
    json models = json::array();
    for (const auto & entry : self.models) {
        models.push_back(
            json{ { "model", entry.first }, { "bytes", to_json(entry.second->bytes) } });
    }
    return json{ { "devices", devices }, { "models", models } };
}

static json kv_file(device & self, const request & job, bool save) {
    const model_ptr target = loaded_model(self, job.parsed);
    const std::string path = get_or<std::string>(job.parsed, "path", "");
    if (path.empty()) {
        throw failure(NRN_E_ARGUMENT, "'path' is required");
    }
    if (target->state != model_state::ready) {
        throw failure(NRN_E_FAULT, "Model '" + target->name + "' is poisoned: " + target->cause);
    }
    json answer;
    std::string cause;
    current_phase = save ? "kv_save" : "kv_restore";
    const bool alive = run_guarded(
        [&] {
            fire_fault(self, current_phase, target->name);
            answer = save ? save_prompts(*target, path,
                                (uint64_t)get_or(job.parsed, "bytes_max", INT64_MAX, 0, INT64_MAX))
                          : restore_prompts(*target, path);
        },
        cause);
    if (!alive) {
        poison_model(self, target, cause);
        throw failure(NRN_E_FAULT, "Model '" + target->name + "' was poisoned: " + cause,
            json{ { "cause", cause } });
    }
    current_phase = "";
    return answer;
}

static json arm_fault(device & self, const request & job) {
    if (!g_test_faults) {
        throw failure(NRN_E_UNSUPPORTED, "Faults can be injected only where nrn_init allowed it");
    }
    if (get_or<std::string>(job.parsed, "phase", "decode") == "prepare") {
        if (get_or<std::string>(job.parsed, "kind", "hang") == "memory") {
            self.prepare_out_of_memory = true;
        } else {
            self.prepare_hang_ms = get_or(job.parsed, "ms", 1000, 1, INT32_MAX);
        }
        return json{ { "armed", true } };
    }
    armed_fault fault;
    fault.ms = get_or(job.parsed, "ms", 1000, 1, INT32_MAX);
    fault.active = true;
    fault.model = get_or<std::string>(job.parsed, "model", "");
    fault.phase = get_or<std::string>(job.parsed, "phase", "decode");
    fault.kind = get_or<std::string>(job.parsed, "kind", "abort");
    fault.after = get_or(job.parsed, "after", 1, 1, INT32_MAX);
    std::lock_guard<std::mutex> lock(self.fault_mutex);
    self.fault = fault;
    return json{ { "armed", true } };
}

static json execute(device & self, const request_ptr & job) {
    const std::string op = get_or<std::string>(job->parsed, "op", "");
    if (op == "load") {
        return load(self, *job);
    }
    if (op == "unload") {
        return unload_model(self, loaded_model(self, job->parsed), job);
    }
    if (op == "estimate") {
        return estimate(self, *job);
    }
    if (op == "memory") {
        return memory(self);
    }
    if (op == "kv_save" || op == "kv_restore") {
        return kv_file(self, *job, op == "kv_save");
    }
    if (op == "fault") {
        return arm_fault(self, *job);
    }
    throw failure(NRN_E_ARGUMENT, "Unknown job '" + op + "'");
}

void end_job(device & self, const request_ptr & job, const std::function<json()> & work) {
    const std::string name = json_value(job->parsed, "model", std::string());
    log_scope names(self.name, name);
    const auto forget = [&] {
        std::lock_guard<std::mutex> lock(self.mutex);
        self.loading.erase(name);
    };
    std::string cause;
    try {
        json answer;
        if (!run_guarded([&] { answer = work(); }, cause)) {
            probe_device(self, cause);
            throw failure(NRN_E_FAULT, "The job aborted: " + cause, json{ { "cause", cause } });
        }
        if (answer.is_null()) {
            return;
        }
        forget();
        if (!self.finish(job, NRN_EVENT_RESULT, NRN_OK, answer.dump_safe()) &&
            json_value(job->parsed, "op", std::string()) == "load") {
            /* Cancelled when it was all but done: the caller was told that nothing is loaded. */
            if (const model_ptr unwanted = self.find_model(name)) {
                unload_model(self, unwanted, nullptr);
            }
        }
    } catch (const failure & e) {
        forget();
        self.fail(job, e.status, e.what(), e.details);
    } catch (const std::bad_alloc & e) {
        forget();
        self.fail(job, NRN_E_MEMORY, "Out of host memory");
    } catch (const std::exception & e) {
        forget();
        self.fail(job, NRN_E_INTERNAL, e.what());
    }
    current_phase = "";
}

void run_job(device & self, const request_ptr & job) {
    if (get_or<std::string>(job->parsed, "op", "") != "memory") {
        /* It may take models away from those that step them; asking for figures does not. */
        wait_for_steps(self);
        take_in_steps(self);
    }
    if (job->cancelled) {
        return; /* its last event went out with the cancel */
    }
    self.doing = "job";
    end_job(self, job, [&] { return execute(self, job); });
}

} // namespace nrn
