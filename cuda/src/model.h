// One loaded model and its requests.
#pragma once

#include "conversation.h"
#include "failure.h"
#include "stop-strings.h"

#include "server-context.h"
#include "server-task.h"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace nrn {

struct model;
struct device;

/* Bytes by ggml device index. */
struct memory_bytes {
    uint64_t weights = 0;
    uint64_t context = 0;
    uint64_t compute = 0;
    uint64_t total() const { return weights + context + compute; }
};
using memory_plan = std::map<int, memory_bytes>;

/* A token that was sampled, with the most probable ones beside it; texts are bytes. */
struct token_probability {
    std::string text;
    double logprob = 0;
    std::vector<std::pair<std::string, double>> top;
};

/* How an answer ended, or where it stands. */
struct outcome {
    int64_t prompt_tokens = 0;
    int64_t cached_tokens = 0;
    int64_t completion_tokens = 0;
    int64_t reasoning_tokens = 0; /* of the completion's */
    bool cut = false;       /* by max_tokens or the context's end */
    bool truncated = false; /* by the context's end */
    server_slot_stats stats;
};

/* One answer of a request: one per prompt and per n. Only the result thread touches it once its
 * task is posted. */
struct choice {
    int task = -1;
    bool role_sent = false;
    bool done = false;
    bool plain = false; /* text goes out as it comes */
    std::string head;   /* chunk text up to the delta */
    std::vector<std::string> call_ids;
    std::unique_ptr<task_result_state> state;
    server_task_result_ptr final_result; /* of embeddings and rerank */
    outcome ended;
    stop_scanner stops;
    std::string content; /* of a whole answer, as far as it is known; so is what follows */
    std::string reasoning;
    std::string logprobs;                          /* JSON text, once it has ended */
    std::vector<token_probability> waiting_tokens; /* not told yet */
    size_t text_offset = 0;                        /* characters of the tokens told so far */
};

struct request {
    uint64_t id = 0;
    uint32_t kind = 0; /* nrn_submit_kind, or 0 for a job */
    std::shared_ptr<model> owner;
    std::string body;
    int64_t submitted_us = 0;
    int64_t rank_us = 0; /* among those that wait for a slot: the lowest is served first */
    std::atomic<bool> cancelled{ false };
    std::atomic<bool> preparing{ false };

    std::mutex mutex; /* orders this request's events: nothing follows the one that sets ended */
    bool ended = false;
    std::vector<int> tasks; /* posted to the model's queue */

    /* Set by the preparing thread before posting, then the result thread's. */
    bool stream = false;
    bool include_usage = false;
    bool calls_only = false; /* answers have no text */
    bool prompt_usage = false; /* until the first chunk has carried it */
    int top_logprobs = -1;     /* -1: none are asked for */
    size_t answers_per_prompt = 1;
    std::vector<std::string> stops; /* the client's stop strings */
    std::string completion_id;
    int64_t created = 0;
    std::vector<choice> choices;
    size_t done_count = 0;
    json parsed; /* body of embeddings and rerank */
};
using request_ptr = std::shared_ptr<request>;

enum class model_state { ready, unloading, poisoned };

struct task_ref {
    request_ptr owner;
    size_t index;
};

/* A prepared request whose tasks, or the last of them, have no slot yet. */
struct waiting_request {
    request_ptr owner;
    std::deque<server_task> tasks;
    bool has_begun = false; /* one of them has got a slot */
};

/* What a step needs to know about the model's speed, smoothed. Device thread only. */
struct pace {
    double prefill_per_second = 0;
    double decode_per_second = 0;
    double virtual_time = 0; /* seconds of a thread used, divided by the weight */
    int32_t prompt_cap = 0;
};

struct model {
    std::string name;
    device * home = nullptr;
    common_params params;
    server_context * server = nullptr; /* deleted by unload, leaked when poisoned */
    std::unique_ptr<server_context_meta> meta;
    std::unique_ptr<server_context::host_view> view;
    std::atomic<model_state> state{ model_state::ready };
    std::string cause; /* of the poison */
    double weight = 1;
    memory_plan bytes;
    template_traits traits;
    std::string fingerprint; /* which model and cache layout a KV file belongs to */

    /* Held shared by threads that use vocabulary or templates; unload takes it exclusively. */
    std::shared_timed_mutex use;

    std::mutex tasks_mutex;
    std::unordered_map<int, task_ref> tasks;
    std::multimap<int64_t, waiting_request> waiting; /* by rank_us; under tasks_mutex */
    std::atomic<int32_t> without_slot{ 0 };          /* of those that wait, the ones that have not begun */

    std::atomic<int32_t> open_requests{ 0 }; /* accepted and not ended */
    std::atomic<int32_t> preparing{ 0 };

    /* Device thread only. */
    pace speed;
    int64_t stepped_us = 0; /* end of its last step */
    bool in_step = false;   /* on another thread, which has server and step_results until its end */
    int32_t threads_max = 0; /* that its context was told to use; 0: those it was loaded with */
    int32_t handed_out = 0; /* slots for tasks that the server core was given since then */
    server_context::figures figures;
    std::vector<server_task_result_ptr> step_results;
    uint64_t steps = 0;

    std::mutex shown_mutex; /* the copies below are for nrn_device_figures */
    server_context::figures shown;
    pace shown_speed;
    uint64_t shown_steps = 0;

    bool is_embedding() const {
        return params.embedding && params.pooling_type != LLAMA_POOLING_TYPE_RANK;
    }
    bool is_reranking() const {
        return params.embedding && params.pooling_type == LLAMA_POOLING_TYPE_RANK;
    }
};
using model_ptr = std::shared_ptr<model>;

/* Fills llama.cpp's parameters from a load or estimate job; never reads the environment. */
common_params params_from_job(const json & job, const std::vector<int> & device_indices);

/* What a load would take, from a load without allocation; throws failure for files that cannot be
 * loaded. */
memory_plan measure_memory(const common_params & params);

/* What a loaded context takes. */
memory_plan used_memory(
    const llama_context * target, const llama_context * draft, const common_params & params);

/* Free bytes per ggml device index; the host's come from /proc and the cgroup. */
uint64_t free_memory(int device_index);

json to_json(const memory_plan & plan);

/* The same for each device, with what is free there now. */
json to_json_by_device(const memory_plan & plan);
/* Of that form; @throws failure for anything else. */
memory_plan plan_from(const json & devices);

/* Throws NRN_E_MEMORY for a context so large that planning alone would use up the host's memory. */
void check_context(const std::string & name, const common_params & params);

/* Throws NRN_E_MEMORY when the plan does not fit what is free now. */
void check_fits(const std::string & name, const memory_plan & plan);

} // namespace nrn
