import { CortexError } from "../base/errors.ts";
import type { VllmMetric, VllmSource } from "./render-as-vllm.ts";

/** Every name of vLLM that boards use and that is measured here, with its type and help. */
const NAMES = {
  num_requests_running: ["gauge", "Requests that are served"],
  num_requests_waiting: ["gauge", "Requests that wait"],
  // vLLM counts blocks of its cache; slots are what there is here. The second name is that of older versions.
  kv_cache_usage_perc: ["gauge", "Part of the slots that compute, from 0 to 1"],
  gpu_cache_usage_perc: ["gauge", "Part of the slots that compute, from 0 to 1"],
  request_success_total: ["counter", "Requests that ended well, by how the text ended where known"],
  prompt_tokens_total: ["counter", "Prompt tokens"],
  generation_tokens_total: ["counter", "Completion tokens"],
  prefix_cache_queries_total: ["counter", "Prompt tokens that were looked for in the cache"],
  prefix_cache_hits_total: ["counter", "Prompt tokens that were in the cache"],
  gpu_prefix_cache_queries_total: ["counter", "Prompt tokens that were looked for in the cache"],
  gpu_prefix_cache_hits_total: ["counter", "Prompt tokens that were in the cache"],
  time_to_first_token_seconds: ["histogram", "From a request to its first token"],
  time_per_output_token_seconds: ["histogram", "Time of a token after the first"],
  inter_token_latency_seconds: ["histogram", "Time between two tokens"],
  request_time_per_output_token_seconds: ["histogram", "Mean time of a request's tokens"],
  e2e_request_latency_seconds: ["histogram", "From a request to its end"],
  request_queue_time_seconds: ["histogram", "From a request's acceptance to a slot"],
  request_prefill_time_seconds: ["histogram", "Time in which a prompt is read"],
  request_decode_time_seconds: ["histogram", "Time in which an answer is written"],
  request_prompt_tokens: ["histogram", "Prompt tokens of a request"],
  request_generation_tokens: ["histogram", "Completion tokens of a request"],
} as const satisfies Readonly<Record<string, readonly [VllmMetric["type"], string]>>;

const GATEWAY_USAGE = { from: "cortex_slots_busy", of: "cortex_slots" };
const GATEWAY_PROMPT = { from: "cortex_prompt_tokens_total" };
const GATEWAY_CACHED = { from: "cortex_cached_prompt_tokens_total" };

/**
 * The gateway's figures under the names of vLLM. It does not know how a text ended, and not how long a neuron queued,
 * read and wrote: neurons tell that.
 */
export const GATEWAY_AS_VLLM = listMetrics({
  num_requests_running: { from: "cortex_in_flight", less: "cortex_queue_depth" },
  num_requests_waiting: { from: "cortex_queue_depth" },
  kv_cache_usage_perc: GATEWAY_USAGE,
  gpu_cache_usage_perc: GATEWAY_USAGE,
  request_success_total: { from: "cortex_requests_total", only: ["status", "200"] },
  prompt_tokens_total: GATEWAY_PROMPT,
  generation_tokens_total: { from: "cortex_completion_tokens_total" },
  prefix_cache_queries_total: GATEWAY_PROMPT,
  prefix_cache_hits_total: GATEWAY_CACHED,
  gpu_prefix_cache_queries_total: GATEWAY_PROMPT,
  gpu_prefix_cache_hits_total: GATEWAY_CACHED,
  time_to_first_token_seconds: { from: "cortex_time_to_first_token_seconds" },
  time_per_output_token_seconds: { from: "cortex_time_per_output_token_seconds" },
  request_time_per_output_token_seconds: { from: "cortex_time_per_output_token_seconds" },
  e2e_request_latency_seconds: { from: "cortex_request_duration_seconds" },
  request_prompt_tokens: { from: "cortex_request_prompt_tokens" },
  request_generation_tokens: { from: "cortex_request_completion_tokens" },
});

const NEURON_USAGE = { from: "cortex_neuron_slots_busy", of: "cortex_neuron_slots" };
const NEURON_PROMPT: VllmSource = { from: "cortex_neuron_tokens_total", only: ["kind", "prompt"] };
const NEURON_CACHED: VllmSource = { from: "cortex_neuron_tokens_total", only: ["kind", "cached"] };

/** A neuron's figures under the names of vLLM. */
export const NEURON_AS_VLLM = listMetrics({
  num_requests_running: { from: "cortex_neuron_in_flight", less: "cortex_neuron_queued" },
  num_requests_waiting: { from: "cortex_neuron_queued" },
  kv_cache_usage_perc: NEURON_USAGE,
  gpu_cache_usage_perc: NEURON_USAGE,
  request_success_total: {
    from: "cortex_neuron_finished_total",
    by: ["reason", "finished_reason"],
  },
  prompt_tokens_total: NEURON_PROMPT,
  generation_tokens_total: { from: "cortex_neuron_tokens_total", only: ["kind", "completion"] },
  prefix_cache_queries_total: NEURON_PROMPT,
  prefix_cache_hits_total: NEURON_CACHED,
  gpu_prefix_cache_queries_total: NEURON_PROMPT,
  gpu_prefix_cache_hits_total: NEURON_CACHED,
  time_to_first_token_seconds: { from: "cortex_neuron_time_to_first_token_seconds" },
  time_per_output_token_seconds: { from: "cortex_neuron_inter_token_seconds" },
  inter_token_latency_seconds: { from: "cortex_neuron_inter_token_seconds" },
  e2e_request_latency_seconds: { from: "cortex_neuron_request_duration_seconds" },
  request_queue_time_seconds: { from: "cortex_neuron_queue_seconds" },
  request_prefill_time_seconds: { from: "cortex_neuron_prefill_seconds" },
  request_decode_time_seconds: { from: "cortex_neuron_decode_seconds" },
  request_prompt_tokens: { from: "cortex_neuron_request_prompt_tokens" },
  request_generation_tokens: { from: "cortex_neuron_request_completion_tokens" },
});

function listMetrics(
  sources: Readonly<Partial<Record<keyof typeof NAMES, VllmSource>>>,
): readonly VllmMetric[] {
  return Object.entries(NAMES).flatMap(([name, [type, help]]) => {
    const source = sources[name as keyof typeof NAMES];
    return source === undefined ? [] : [{ name: `vllm:${name}`, type, help, ...source }];
  });
}

/** What a scrape's `compat` asks for. Throws `invalid_request` for what is not known. */
export function readNames(query: URLSearchParams): "vllm" | undefined {
  const compat = query.get("compat");
  if (compat === null || compat === "vllm") return compat ?? undefined;
  const given = JSON.stringify(compat.slice(0, 64));
  throw new CortexError("invalid_request", `Parameter 'compat' is ${given}, must be vllm`, {
    param: "compat",
  });
}
