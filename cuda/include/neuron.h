/*
 * neuron.h: the C ABI between cortex and its native engine.
 *
 * Rules that hold for every function
 *  - Inputs are copied before the call returns; each string comes with its length in bytes and needs no
 *    terminating zero. Text is UTF-8, structured input and output is JSON.
 *  - Outputs go into the caller's buffer. No pointer handed over or out survives the call.
 *  - The return value is 0 (or a non-negative result where stated), else a negative nrn_status. The text of
 *    the calling thread's last failure is read with nrn_last_error. No exception, exit or abort leaves the
 *    library on a path that it can catch.
 *  - Thread: "any" may be called by any thread at any time after nrn_init; "device" only by the one thread
 *    (the device's Worker) that called nrn_device_open.
 *
 * Life of a request: nrn_submit or nrn_job accepts it under an id that the caller chose (unique in the process,
 * never 0). Zero or more CHUNK or PROGRESS events follow, then exactly one of END, RESULT or ERROR, which is the
 * last event that carries this id. A call that returns a negative status produces no event at all.
 */
#ifndef NEURON_H
#define NEURON_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NRN_API __attribute__((visibility("default")))

typedef enum nrn_status {
    NRN_OK            =   0,
    NRN_E_ARGUMENT    =  -1, /* malformed JSON, wrong type, value out of range: the caller's client is at fault */
    NRN_E_STATE       =  -2, /* called in the wrong state: not initialised, model loading, device stopped */
    NRN_E_MEMORY      =  -3, /* device or host memory does not suffice */
    NRN_E_BUFFER      =  -4, /* the output buffer is too small; *written holds the size that is needed */
    NRN_E_QUEUE       =  -5, /* the bounded queue of this model or device is full */
    NRN_E_NOT_FOUND   =  -6, /* no such device, model or request */
    NRN_E_INTERNAL    =  -7, /* a fault of ours (exception outside the device loop); the model is NOT poisoned */
    NRN_E_FAULT       =  -8, /* the driver or ggml aborted; the model (or the device) is poisoned */
    NRN_E_CANCELLED   =  -9, /* nrn_cancel, unload or stop ended the request */
    NRN_E_CONTEXT     = -10, /* prompt longer than the context: the payload has prompt_tokens and context_tokens */
    NRN_E_UNSUPPORTED = -11, /* the model or this build cannot do what was asked */
    NRN_E_LOAD        = -12  /* the model file is missing, damaged or of an unknown kind */
} nrn_status;

typedef enum nrn_event_kind {
    NRN_EVENT_CHUNK    = 1, /* one streamed OpenAI chunk object, JSON text, without "data: " */
    NRN_EVENT_END      = 2, /* a streamed request is complete; payload: nrn figures of the request (see below) */
    NRN_EVENT_RESULT   = 3, /* a whole answer or a job's result, JSON */
    NRN_EVENT_ERROR    = 4, /* {"message","type","prompt_tokens"?,"context_tokens"?,"devices"?,"cause"?}; see status */
    NRN_EVENT_FAULT    = 5, /* request 0: {"device","model"|null,"scope":"model"|"device","cause","phase"} */
    NRN_EVENT_PROGRESS = 6, /* load: {"model","stage","value"}, value 0..1; prompt: {"processed","total"} */
    NRN_EVENT_LOG      = 7  /* request 0: {"level","text","device"?,"model"?,"dropped"?: lines lost before this one} */
} nrn_event_kind;

/* What nrn_submit runs. Bodies are the OpenAI dialect's, already checked and bounded by the caller. */
typedef enum nrn_submit_kind {
    NRN_SUBMIT_CHAT           = 1, /* /v1/chat/completions; "stream": true gives CHUNK… END, else RESULT */
    NRN_SUBMIT_COMPLETION     = 2, /* /v1/completions, streamed or not */
    NRN_SUBMIT_EMBEDDINGS     = 3, /* /v1/embeddings; RESULT */
    NRN_SUBMIT_RERANK         = 4, /* {"query","documents","top_n"?}; RESULT {"results":[{index,relevance_score}]} */
    NRN_SUBMIT_TOKENIZE       = 5, /* {"content", "add_special"?, "with_pieces"?}; RESULT {"tokens":[…]} */
    NRN_SUBMIT_APPLY_TEMPLATE = 6, /* a chat body; RESULT {"prompt": "…"} */
    NRN_SUBMIT_COUNT_TOKENS   = 7  /* a chat body; RESULT {"input_tokens": n}, of the filled template */
} nrn_submit_kind;

/* Header of each event in the drain buffer: little endian, 24 bytes, frames aligned to 8 bytes. */
typedef struct nrn_event {
    uint32_t length;         /* whole frame: header, payload and padding; a multiple of 8 */
    uint32_t kind;           /* nrn_event_kind */
    uint64_t request;        /* the caller's id, or 0 */
    int32_t  status;         /* nrn_status */
    uint32_t payload_length; /* bytes of UTF-8 JSON that follow the header */
} nrn_event;

/* ---- the library ---- */

/*
 * Any thread, also before nrn_init. The first four bytes of the SHA-256 of this file, the first one highest. Both sides
 * take it from the file when they are built, and the binding refuses a library of another interface. Comments count,
 * since they name the fields of jobs, figures and events.
 */
NRN_API uint32_t nrn_abi_version(void);

/*
 * Sets up backends, the abort callback and the log sink. Idempotent; blocking (device discovery).
 * options: {"log_level"?: "debug"|"info"|"warn"|"error", "event_bytes_max"?: n (default 64 MiB; a request whose events
 * would pass it waits, never drops), "test_faults"?: bool (allows the fault job; only tests set it),
 * "rpc_servers"?: ["host:port",…] (their devices are added to discovery's list)}
 * A later call may change log_level and event_bytes_max and add RPC servers; those that it cannot reach within some
 * seconds are NRN_E_NOT_FOUND, the ones before them in the list are added.
 */
NRN_API int32_t nrn_init(const char * options, uint32_t options_length);

/* Copies the calling thread's last failure, at most capacity bytes; returns its full length in bytes. Any thread. */
NRN_API int32_t nrn_last_error(char * out, uint32_t capacity);

/*
 * Build and devices of this host as JSON. Any thread; may take 100 ms.
 * {"engine","build","flavour","backends":["CPU","CUDA",…],"cuda_architectures":[…],"nccl":bool,
 *  "devices":[{"index","kind":"cpu"|"gpu"|"integrated"|"accelerator"|"remote","backend","name","description",
 *              "compute_capability":string|null,"pci":string|null,"driver":string|null (NVIDIA's kernel driver),
 *              "endpoint":string|null (of a remote device: its server),
 *              "memory_total_bytes","memory_free_bytes","cores":n (a CPU's)}]}
 * A remote device whose server is lost has no memory.
 * A CPU's free memory comes from /proc/meminfo (MemAvailable) and the cgroup's limit, whichever is less.
 */
NRN_API int32_t nrn_devices(char * out, uint32_t capacity, uint32_t * written);

/* ---- one device (or one set of devices that hold a model together) ---- */

/*
 * Opens the device loop's state on the calling thread, which becomes its device thread, and writes a handle.
 * options: {"devices":[index,…], "name": "cpu0", "requests_max"?: n (in flight and queued per model, default 512),
 * "step_ms"?: n (how long a stream's next token may wait for prompts of others; default 200),
 * "prepare_ms"?: n (what preparing one request may take before it is failed; default 20000),
 * "cpus"?: [n,…] (the device thread and its CPU threads keep to these), "numa_node"?: n (whose memory is preferred)}
 */
NRN_API int32_t nrn_device_open(const char * options, uint32_t options_length, uint64_t * handle);

/*
 * Device thread only. Steps every loaded model that has work, weighted fair, and runs jobs, until slice_ms have passed
 * or nrn_device_stop was called; sleeps on one condition variable while there is nothing to do.
 * Returns 0 to be called again, 1 when stopped, or NRN_E_FAULT once the whole device is poisoned.
 */
NRN_API int32_t nrn_device_run(uint64_t handle, uint32_t slice_ms);

/* Any thread. Makes nrn_device_run return 1 after its current step; queued requests end as cancelled. */
NRN_API int32_t nrn_device_stop(uint64_t handle);

/* Device thread only, after run returned 1 or NRN_E_FAULT. Unloads what is loaded and frees the device's state. */
NRN_API int32_t nrn_device_close(uint64_t handle);

/*
 * Any thread; returns at once. Queues a job that the device thread runs between steps; ends in RESULT or ERROR.
 *  {"op":"load","model","path","context"?,"slots"?,"threads"?,"threads_batch"?,"batch"?,"ubatch"?,"gpu_layers"?,
 *   "split_mode"?:"layer"|"row"|"tensor"|"none","tensor_split"?:[…],"main_device"?,"cache_type_k"?,"cache_type_v"?,
 *   "flash_attention"?:"auto"|"on"|"off","embedding"?:bool,"reranking"?:bool,"pooling"?,"mmproj"?,"draft"?:{"path",…},
 *   "ngram"?:{"type","lookup"?,"tokens_max"?,"hits_min"?},"lora"?:[{"path","scale"}],"prompt_cache_mib"?,
 *   "weight"?: n (share of the device, default 1), "plan"?: "devices" of an estimate of the same load, else made now,
 *   "warmup"?:bool,"poll"?: 0..100 (spinning of CPU threads),"chat_template"?: text that replaces the model's}
 *     context is per slot, in tokens; 0 means the model's training context, more than that is lowered to it.
 *     Defaults: slots 4, threads cores - 1, batch 2048, ubatch 512, prompt_cache_mib 1024, poll 1, warmup with an
 *     accelerator alone. draft also takes "tokens_max" and "tokens_min". ngram drafts from the text so far; its types
 *     are ngram-simple, ngram-map-k, ngram-map-k4v, ngram-mod and ngram-cache. A name whose model is poisoned may be
 *     loaded again; what the old one held is leaked. NRN_E_STATE: another host's device cannot be reached.
 *     NRN_E_MEMORY carries "devices":[{"index","bytes","free_bytes"}] of what was needed and free.
 *     PROGRESS events, then {"model","load_ms","context","slots","bytes":{"weights","context","compute"},
 *     "devices":[{"index","bytes","weights","context","compute","free_bytes"}],
 *     "taken":[{"index","bytes"}] (by how much less is free than before, by the device's own word),
 *     "parameters","capabilities":["chat","completion","embeddings","rerank","vision","audio"],"template_caps":{…},
 *     "template_traits":{…}}
 *  {"op":"unload","model"}          ends the model's requests as cancelled; {"model","freed_bytes"}. Other jobs and
 *     models go on while it waits for a request that is still being prepared; after 5 s the memory is leaked and
 *     freed_bytes is 0
 *  {"op":"estimate", same fields as load}  a load without allocation; {"bytes":{"weights","context","compute"},
 *     "devices":[{"index","bytes","weights","context","compute","free_bytes"}],"context","slots"}
 *  {"op":"memory"}   of the loop's devices and the host: {"devices":[{"index","memory_total_bytes","memory_free_bytes",
 *     "lost"?: why another host's device cannot be asked}],
 *     "models":[{"model","bytes"}]}
 *  {"op":"kv_save","model","path","bytes_max"?}   slots' KV and prompt cache; {"tokens","left_out","bytes","ms"}, in
 *     tokens; prompts that would make the file larger than bytes_max are left out
 *  {"op":"kv_restore","model","path"}   {"tokens","bytes","ms"}; a damaged or foreign file is an error of its own, and
 *     nothing is restored
 *  {"op":"fault","model"|null,"phase":"load"|"prefill"|"decode"|"unload"|"kv_save"|"kv_restore","after":n,
 *   "kind":"abort"|"exception"|"device"|"memory"|"hang","ms"?: n}   test hook: the n-th evaluated tensor (or step) of
 *     that phase
 *     aborts through ggml's real abort path, throws in our own code, runs out of memory or hangs for ms; with phase
 *     "prepare" and kind "hang" or "memory" the next request's preparation does; refused unless nrn_init allowed it
 */
NRN_API int32_t nrn_job(uint64_t handle, uint64_t request, const char * job, uint32_t job_length);

/*
 * Any thread; returns at once. Templates, grammars and tokenizing run on the device's preparing thread, results are
 * rendered on its result thread, never on the device thread.
 * Requests of a model that wait for a slot are served by their age. A body of a kind that needs a slot may have
 * "queue_age_ms": n, by how much older than it is the request counts there; less than 0 is younger.
 */
NRN_API int32_t nrn_submit(uint64_t handle, uint64_t request, uint32_t kind,
                           const char * model, uint32_t model_length,
                           const char * body, uint32_t body_length);

/*
 * Any thread; returns at once. Ends the request with an ERROR event of status NRN_E_CANCELLED wherever it is:
 * preparing, queued, in prefill (its slot is freed after the current step) or decoding (at the next token). A job can
 * be cancelled too; a load stops at its next sign of progress. NRN_E_NOT_FOUND when it has ended already.
 */
NRN_API int32_t nrn_cancel(uint64_t handle, uint64_t request);

/*
 * Any thread; cheap (no device call). Figures as of the last step:
 * {"models":[{"model","state":"ready"|"poisoned","slots","slots_busy","preparing","queued","in_flight",
 *  "prompt_tokens","cached_prompt_tokens","completion_tokens","prefill_tokens_per_second","decode_tokens_per_second",
 *  "steps","context_tokens_used"}],"state":"ok"|"poisoned","cause":string|null,"steps","last_step_ms_ago",
 *  "longest_step_ms","turn_ms_ago" (since the loop last came by: at least every slice, between steps, and while a load
 *  makes progress),"doing":""|"prefill"|"decode"|"job","preparing_stuck" (threads that hang in preparing a request
 *  which has been failed)}
 */
NRN_API int32_t nrn_device_figures(uint64_t handle, char * out, uint32_t capacity, uint32_t * written);

/* ---- events: one stream for the whole process ---- */

/* A non-blocking pipe's read end: one byte is written whenever the ring turns from empty to filled. Any thread. */
NRN_API int32_t nrn_event_fd(void);

/*
 * Moves whole events into out and returns their bytes in *written (0 when there are none). NRN_E_BUFFER when not even
 * the first one fits; *written then says how large it is. One draining thread at a time.
 */
NRN_API int32_t nrn_drain(uint8_t * out, uint32_t capacity, uint32_t * written);

/*
 * Serves this host's devices to other hosts over ggml's RPC protocol (no authentication: private networks only).
 * Blocks its thread until the process ends. options: {"host","port","devices"?:[…],"cache_dir"?,"threads"?}
 */
NRN_API int32_t nrn_rpc_serve(const char * options, uint32_t options_length);

/*
 * CHUNK and RESULT of chat or completion are OpenAI's, and beyond it: choices[].stop_reason in the last chunk of a
 * choice and in a RESULT is the client's stop string that was hit, else null; with stream_options.prompt_usage the
 * first chunk of a request has "usage" with completion_tokens 0.
 *
 * END payload and the "cortex" member of a RESULT of chat or completion:
 * {"usage":{"prompt_tokens","completion_tokens","total_tokens","prompt_tokens_details":{"cached_tokens"},
 *  "completion_tokens_details"?:{"reasoning_tokens"}},
 *  "finish_reason","stop_sequence":string|null,"queue_ms","prefill_ms","decode_ms","truncated":bool,
 *  "drafted_tokens","accepted_tokens" (of those, what the model agreed to; 0 without speculation)}
 */

#ifdef __cplusplus
}
#endif
#endif
