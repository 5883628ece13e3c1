import { CortexError } from "../base/errors.ts";

/** A metric as prom-client's registry tells it. */
interface Measured {
  readonly name: string;
  readonly values: readonly {
    readonly labels: Readonly<Partial<Record<string, string | number>>>;
    readonly value: number;
    readonly metricName?: string;
  }[];
}

/** A metric of vLLM and what it is made of, added up for each model. */
interface VllmMetric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly from: string;
  /** Only series with this label's value count. */
  readonly kind?: string;
  /** What is taken off. */
  readonly less?: string;
  /** What it is a part of. */
  readonly of?: string;
}

/** vLLM counts blocks of its cache; slots are what there is here. */
const USAGE = "Part of the slots that compute, from 0 to 1";

/** The gateway's figures under the names of vLLM. */
export const GATEWAY_AS_VLLM = listMetrics({
  running: { from: "cortex_in_flight", less: "cortex_queue_depth" },
  waiting: { from: "cortex_queue_depth" },
  usage: { from: "cortex_slots_busy", of: "cortex_slots" },
  ttft: { from: "cortex_time_to_first_token_seconds" },
  tokenSeconds: { from: "cortex_time_per_output_token_seconds" },
  latency: { from: "cortex_request_duration_seconds" },
  prompt: { from: "cortex_prompt_tokens_total" },
  generation: { from: "cortex_completion_tokens_total" },
});

/** A neuron's figures under the names of vLLM. */
export const NEURON_AS_VLLM = listMetrics({
  running: { from: "cortex_neuron_in_flight", less: "cortex_neuron_queued" },
  waiting: { from: "cortex_neuron_queued" },
  usage: { from: "cortex_neuron_slots_busy", of: "cortex_neuron_slots" },
  ttft: { from: "cortex_neuron_time_to_first_token_seconds" },
  tokenSeconds: { from: "cortex_neuron_inter_token_seconds" },
  latency: { from: "cortex_neuron_request_duration_seconds" },
  prompt: { from: "cortex_neuron_tokens_total", kind: "prompt" },
  generation: { from: "cortex_neuron_tokens_total", kind: "completion" },
});

type Source = Pick<VllmMetric, "from" | "kind" | "less" | "of">;

function listMetrics(
  sources: Readonly<
    Record<
      | "running"
      | "waiting"
      | "usage"
      | "ttft"
      | "tokenSeconds"
      | "latency"
      | "prompt"
      | "generation",
      Source
    >
  >,
): readonly VllmMetric[] {
  const define = (
    name: string,
    type: VllmMetric["type"],
    { help, ...source }: Source & { readonly help: string },
  ): VllmMetric => ({ name: `vllm:${name}`, type, help, ...source });
  const { running, waiting, usage, ttft, tokenSeconds, latency, prompt, generation } = sources;
  return [
    define("num_requests_running", "gauge", { help: "Requests that are served", ...running }),
    define("num_requests_waiting", "gauge", { help: "Requests that wait", ...waiting }),
    define("gpu_cache_usage_perc", "gauge", { help: USAGE, ...usage }),
    define("time_to_first_token_seconds", "histogram", {
      help: "From a request to its first token",
      ...ttft,
    }),
    define("time_per_output_token_seconds", "histogram", {
      help: "Time of a token after the first",
      ...tokenSeconds,
    }),
    define("e2e_request_latency_seconds", "histogram", {
      help: "From a request to its end",
      ...latency,
    }),
    define("prompt_tokens_total", "counter", { help: "Prompt tokens", ...prompt }),
    define("generation_tokens_total", "counter", { help: "Completion tokens", ...generation }),
  ];
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

/** The metrics in Prometheus's text format, each with the model alone as a label. */
export function renderAsVllm(
  measured: readonly Measured[],
  metrics: readonly VllmMetric[],
): string {
  const byName = new Map(measured.map((metric) => [metric.name, metric]));
  const lines: string[] = [];
  for (const metric of metrics) {
    lines.push(`# HELP ${metric.name} ${metric.help}`, `# TYPE ${metric.name} ${metric.type}`);
    const less = sumByModel(byName.get(metric.less ?? ""), metric);
    const whole = sumByModel(byName.get(metric.of ?? ""), metric);
    for (const [series, { suffix, labels, value }] of sumByModel(byName.get(metric.from), metric)) {
      const rest = Math.max(0, value - (less.get(series)?.value ?? 0));
      const total = whole.get(series)?.value ?? 0;
      const part = total > 0 ? Math.min(1, rest / total) : 0;
      const shown = metric.of === undefined ? rest : part;
      lines.push(`${metric.name}${suffix}{${labels}} ${shown}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

interface Sum {
  /** `_bucket`, `_sum` or `_count` of a histogram. */
  readonly suffix: string;
  readonly labels: string;
  value: number;
}

/** What a metric comes to for each model, and for each bucket of it, over all its other labels. */
function sumByModel(metric: Measured | undefined, { kind }: VllmMetric): Map<string, Sum> {
  const sums = new Map<string, Sum>();
  for (const { labels, value, metricName } of metric?.values ?? []) {
    const { model, le } = labels;
    if (model === undefined || (kind !== undefined && labels["kind"] !== kind)) continue;
    const suffix = metricName?.slice(metric?.name.length) ?? "";
    const bound = le === undefined ? "" : `,le="${le}"`;
    const text = `model_name="${escapeLabel(String(model))}"${bound}`;
    const key = `${suffix} ${text}`;
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { suffix, labels: text, value });
    else sum.value += value;
  }
  return sums;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
