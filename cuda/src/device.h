// One device loop: its jobs, models, requests and helper threads.
#pragma once

#include "model.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace nrn {

/* A test's order to fail at a point of the real path. */
struct armed_fault {
    bool active = false;
    std::string model; /* empty: any */
    std::string phase;
    std::string kind;
    int64_t after = 0;
    int64_t ms = 0; /* of a hang */
};

/* A model that is unloaded once no request of it is being prepared any more. */
struct leaving_model {
    model_ptr target;
    request_ptr job; /* the unload, to be ended then; null when nobody asked */
    int64_t until_us = 0;
};

/* One step of a model: what it was given, and what came of it. */
struct model_step {
    model_ptr target;
    server_context::figures before;
    server_context::figures after;
    const char * phase = "decode";
    int32_t threads = 1;
    int64_t start_us = 0;
    int64_t end_us = 0;
    bool alive = true;       /* false: ggml aborted, for this cause */
    int32_t status = NRN_OK; /* else an exception's, for this cause */
    std::string cause;
};
using step_ptr = std::shared_ptr<model_step>;

struct result_batch {
    model_ptr owner;
    std::vector<server_task_result_ptr> results;
};

/* One preparing thread. Its members are under the device's prepare_mutex. */
struct prepare_worker {
    pthread_t thread{};
    request_ptr current;     /* what it prepares */
    int64_t since_us = 0;    /* and since when */
    bool superseded = false; /* another one has taken over; it ends after its request */
    bool given_up = false;   /* its request was failed; it may never end */
};

struct device : std::enable_shared_from_this<device> {
    uint64_t handle = 0;
    std::string name;
    std::vector<int> indices;
    int32_t requests_max = 512;
    std::thread::id owner;

    /* The device thread sleeps on wake; whoever gives it work kicks. */
    std::mutex mutex;
    std::condition_variable wake;
    bool kicked = false;
    std::atomic<bool> stopping{ false };
    std::deque<request_ptr> jobs;
    std::map<std::string, model_ptr> models; /* changed by the device thread alone, under mutex */
    std::unordered_set<std::string> loading; /* jobs accepted and not finished */

    std::mutex registry_mutex;
    std::unordered_map<uint64_t, request_ptr> registry;

    /* The preparing thread: one, so that requests reach the queue in the order of their submit.
     * Another takes over while one takes long over a request. */
    std::mutex prepare_mutex;
    std::condition_variable prepare_wake;
    std::deque<request_ptr> prepare_queue;
    std::vector<std::shared_ptr<prepare_worker>> prepare_workers; /* the last one takes requests */
    double prepare_seconds = 20; /* what one request may take */
    std::atomic<int64_t> prepare_hang_ms{ 0 }; /* a test's order: the next request takes so long */
    std::atomic<bool> prepare_out_of_memory{ false }; /* a test's order */

    /* The result thread. */
    std::mutex result_mutex;
    std::condition_variable result_wake;
    std::deque<result_batch> result_inbox;
    std::atomic<size_t> result_backlog{ 0 };
    pthread_t result_thread{};

    /* Stepping threads, where models step beside each other (steps.cpp). */
    int32_t cores = 0; /* for the models' steps together; 0: one step at a time, on the device thread */
    std::mutex step_mutex;
    std::condition_variable step_wake;
    std::condition_variable step_end;
    std::deque<step_ptr> steps_due;
    std::vector<step_ptr> steps_ended;
    int32_t steps_running = 0; /* due, or on its way */
    std::vector<pthread_t> stepping_threads; /* device thread only, as what follows */
    std::vector<step_ptr> steps_away;        /* begun and not taken in, the oldest first */
    int32_t busy_models = 0;                 /* with work at the last choice */

    std::atomic<bool> closing{ false }; /* ends the helper threads */

    std::atomic<bool> poisoned{ false };
    std::string poison_cause; /* under mutex */
    std::atomic<uint64_t> steps{ 0 };
    std::atomic<int64_t> last_step_us{ 0 };
    std::atomic<int64_t> longest_step_us{ 0 };
    std::atomic<int64_t> turn_us{ 0 }; /* when the loop last came by, or a load made progress */
    std::atomic<const char *> doing{ "" };
    double step_seconds = 0.2; /* how long a stream's next token may wait for prompts of others */

    double virtual_now = 0; /* of the fair share; device thread only */
    std::vector<leaving_model> leaving; /* device thread only */
    std::mutex fault_mutex;
    armed_fault fault; /* under fault_mutex */
    std::atomic<bool> fault_poisons_device{ false };

    void kick();
    request_ptr find(uint64_t id);
    model_ptr find_model(const std::string & name);

    /* Ends a request with its last event; false when it has ended before. */
    bool finish(
        const request_ptr & request, uint32_t kind, int32_t status, const std::string & payload);
    bool fail(const request_ptr & request, int32_t status, const std::string & message,
        const json & details = nullptr);
    /* Ends every open request of a model. */
    void fail_all(const model_ptr & owner, int32_t status, const std::string & message);
};
using device_ptr = std::shared_ptr<device>;

/* What this thread does for a model: load, prefill, decode, unload, kv_save, kv_restore or nothing. */
extern thread_local const char * current_phase;

/* device.cpp: the loop. */
int32_t run_slice(device & self, uint32_t slice_ms);
void submit(device & self, uint64_t id, uint32_t kind, const std::string & model, std::string body);
void submit_job(device & self, uint64_t id, std::string body);
bool cancel(device & self, uint64_t id);
bool join_within(pthread_t thread, int seconds);
/* False when a helper thread did not end: the device must then be kept alive for it. */
bool close_device(device & self);
/* Fails every open request and job. */
void end_everything(device & self, int32_t status, const std::string & message);
json figures_of(device & self);

/* steps.cpp; all for the device thread */
/* Makes the step of the model whose turn it is, or begins it on a thread of its own; false when no model may step. */
bool step_next(device & self);
/* Takes in what steps on other threads came to. */
void take_in_steps(device & self);
/* Waits until no other thread steps. */
void wait_for_steps(device & self);
/* After closing is set; false when a thread did not end. */
bool end_stepping(device & self, int seconds);

/* jobs.cpp */
void run_job(device & self, const request_ptr & job);
/* Ends a job with what its work comes to. An answer of null leaves it open. */
void end_job(device & self, const request_ptr & job, const std::function<json()> & work);

/* unload.cpp */
/* Ends the model's requests, then frees it: at once, or by settle_leaving when the answer is null. */
json unload_model(device & self, const model_ptr & target, const request_ptr & job);
/* Device thread, at every turn: frees what nobody uses any more. */
void settle_leaving(device & self);
/* Frees every model; waits for requests that are being prepared. */
void unload_all(device & self, const std::string & reason);

/* slots.cpp */
/* With the request's and the tasks' mutex held: the tasks wait for slots from here on. */
void wait_for_slots(const request_ptr & request, std::vector<server_task> tasks);
/* With tasks_mutex held: a request that has ended waits no more. */
void leave_queue(const request_ptr & request);
/* Device thread, between steps: gives the slots that are free to the tasks that wait. */
void hand_out_slots(device & self);

/* poison.cpp */
struct eval_hook {
    device * home;
    std::string model;
};
void probe_device(device & self, const std::string & cause);
void poison_model(device & self, const model_ptr & target, const std::string & cause);
void poison_device(device & self, const std::string & cause);
bool on_tensor(ggml_tensor * tensor, bool ask, void * user_data);
void fire_fault(device & self, const char * phase, const std::string & model);

/* prepare.cpp */
/* A request's own fault ends that request alone, whatever it threw. */
void prepare_guarded(device & self, const request_ptr & request);

/* prepare-threads.cpp */
void start_preparing(device & self);
/* Device thread, now and then: lets others go on past a request that takes long, and fails one that
 * takes too long. */
void watch_preparing(device & self);
/* Threads that were given up and have not ended. */
int32_t count_stuck(device & self);
/* After closing is set; false when a thread did not end. */
bool end_preparing(device & self, int seconds);

/* start-helper.cpp */
pthread_t start_helper(const char * name, std::function<void()> body);

/* results.cpp */
void run_result_thread(device & self);
void hand_over_results(device & self, const model_ptr & owner);

/* kv-file.cpp */
/* Prompts that would make the file larger than bytes_max are left out. */
json save_prompts(model & target, const std::string & path, uint64_t bytes_max);
json restore_prompts(model & target, const std::string & path);

} // namespace nrn
