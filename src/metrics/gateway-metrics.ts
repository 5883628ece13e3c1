import { Counter, Registry } from "prom-client";
import {
  BoundCounter,
  BoundHistogram,
  type CounterSeries,
  type HistogramSeries,
} from "./accumulators.ts";
import { type FleetFigures, FleetGauges } from "./fleet-gauges.ts";
import { renderAsVllm } from "./render-as-vllm.ts";
import { TOKEN_COUNTS } from "./token-counts.ts";
import { TraceMetrics } from "./trace-metrics.ts";
import { GATEWAY_AS_VLLM } from "./vllm-names.ts";

const DURATION_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200];
const TTFT_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
const TOKENS_PER_SECOND = [1, 2.5, 5, 10, 15, 20, 30, 40, 60, 80, 120, 200];
const TOKEN_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5];
const OVERHEAD_SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];

/** The label of a model that no neuron has: what clients write never becomes a label. */
export const UNKNOWN_MODEL = "unknown";
/** The label of a request that came to no neuron. */
export const NO_NEURON = "none";

const PHASES = ["connect", "request", "answer", "stream"] as const;
/** How far a failed attempt came: `answer` is before the first token, `stream` after it. */
export type FailoverPhase = (typeof PHASES)[number];

/** Why a model was unloaded. */
export type EvictionReason = "room" | "operator" | "idle" | "surplus";

/** The figures of one ended request. */
export interface RequestFigures {
  readonly status: number;
  readonly seconds: number;
  readonly ttftSeconds: number | undefined;
  readonly tokensPerSecond: number | undefined;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** What else its metrics tell. */
export interface RequestLabels {
  /** What was asked for: chat, messages, responses, embeddings …; a fixed set. */
  readonly dialect: string;
  /** As they were counted; 0 where nobody did. */
  readonly promptTokens: number;
  readonly overheadSeconds: number | undefined;
}

const PAIR = ["model", "neuron"] as ("model" | "neuron")[];

/** Every metric of the gateway. Labels come from the fleet and the configuration alone. */
export class GatewayMetrics {
  readonly registry = new Registry();
  readonly traces = new TraceMetrics(this.registry, "cortex");
  readonly #series = new Map<string, Map<string, ModelSeries>>();
  readonly #requests = new BoundCounter({
    name: "cortex_requests_total",
    help: "Requests answered",
    labelNames: ["model", "neuron", "dialect", "status"],
    registers: [this.registry],
  });
  readonly #duration = this.#histogram("request_duration_seconds", {
    help: "From the request's head to its end",
    buckets: DURATION_SECONDS,
  });
  readonly #ttft = this.#histogram("time_to_first_token_seconds", {
    help: "From the request's head to the first byte of a stream",
    buckets: TTFT_SECONDS,
  });
  readonly #speed = this.#histogram("tokens_per_second", {
    help: "Completion tokens per second of a stream after its first",
    buckets: TOKENS_PER_SECOND,
  });
  readonly #tokenSeconds = this.#histogram("time_per_output_token_seconds", {
    help: "Mean time of each completion token of a stream after its first",
    buckets: TOKEN_SECONDS,
  });
  readonly #overhead = this.#histogram("overhead_seconds", {
    help: "The gateway's own time before a request goes to a neuron",
    buckets: OVERHEAD_SECONDS,
  });
  readonly #load = this.#histogram("load_seconds", {
    help: "From the first request for a cold model until it is ready",
    buckets: DURATION_SECONDS,
  });
  readonly #promptSize = this.#histogram("request_prompt_tokens", {
    help: "Prompt tokens of a request, where they were counted",
    buckets: TOKEN_COUNTS,
  });
  readonly #completionSize = this.#histogram("request_completion_tokens", {
    help: "Completion tokens of a request that was answered",
    buckets: TOKEN_COUNTS,
  });
  readonly #promptTokens = this.#pairCounter("prompt_tokens_total", "Prompt tokens");
  readonly #completionTokens = this.#pairCounter("completion_tokens_total", "Completion tokens");
  readonly #cachedTokens = this.#pairCounter(
    "cached_prompt_tokens_total",
    "Prompt tokens that were in a neuron's cache",
  );
  readonly #coldStarts = this.#pairCounter("cold_starts_total", "Loads begun for a request");
  readonly #rejections = new Counter({
    name: "cortex_rejections_total",
    help: "Requests refused by the gateway itself, by error code",
    labelNames: ["reason"],
    registers: [this.registry],
  });
  readonly #evictions = new Counter({
    name: "cortex_evictions_total",
    help: "Models unloaded to make room",
    labelNames: ["strategy", "reason"],
    registers: [this.registry],
  });
  readonly #failovers = new Counter({
    name: "cortex_failovers_total",
    help: "Requests tried again, by how far the failed attempt came",
    labelNames: ["phase"],
    registers: [this.registry],
  });

  readonly #readFleet: () => FleetFigures;
  readonly #fleetGauges = new FleetGauges(this.registry);

  constructor(readFleet: () => FleetFigures) {
    this.#readFleet = readFleet;
    // Counters that are not there yet would hide their first step from rate().
    for (const phase of PHASES) this.#failovers.inc({ phase }, 0);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** What a scrape gets; `vllm` tells some of it under the names of vLLM. */
  async render(names?: "vllm"): Promise<string> {
    this.#fleetGauges.fill(this.#readFleet());
    if (names === undefined) return await this.registry.metrics();
    return renderAsVllm(await this.registry.getMetricsAsJSON(), GATEWAY_AS_VLLM);
  }

  /** The series of one model on one neuron, bound at first use. */
  series(model: string, neuron: string): ModelSeries {
    let byNeuron = this.#series.get(model);
    if (byNeuron === undefined) {
      byNeuron = new Map();
      this.#series.set(model, byNeuron);
    }
    let series = byNeuron.get(neuron);
    if (series === undefined) {
      series = this.#bind({ model, neuron });
      byNeuron.set(neuron, series);
    }
    return series;
  }

  countRejection(reason: string): void {
    this.#rejections.inc({ reason });
  }

  countFailover(phase: FailoverPhase): void {
    this.#failovers.inc({ phase });
  }

  countEviction(strategy: string, reason: EvictionReason): void {
    this.#evictions.inc({ strategy, reason });
  }

  countColdStart(model: string, neuron: string): void {
    this.series(model, neuron).coldStarts.add(1);
  }

  observeLoad(model: string, neuron: string, seconds: number): void {
    this.series(model, neuron).load.observe(seconds);
  }

  #bind(labels: { model: string; neuron: string }): ModelSeries {
    return new ModelSeries({
      duration: this.#duration.bind(labels),
      ttft: this.#ttft.bind(labels),
      speed: this.#speed.bind(labels),
      tokenSeconds: this.#tokenSeconds.bind(labels),
      overhead: this.#overhead.bind(labels),
      load: this.#load.bind(labels),
      promptSize: this.#promptSize.bind(labels),
      completionSize: this.#completionSize.bind(labels),
      promptTokens: this.#promptTokens.bind(labels),
      completionTokens: this.#completionTokens.bind(labels),
      cachedTokens: this.#cachedTokens.bind(labels),
      coldStarts: this.#coldStarts.bind(labels),
      requests: (dialect, status) =>
        this.#requests.bind({ ...labels, dialect, status: String(status) }),
    });
  }

  #histogram(name: string, options: { help: string; buckets: number[] }) {
    const labelNames = PAIR;
    return new BoundHistogram({
      name: `cortex_${name}`,
      labelNames,
      registers: [this.registry],
      ...options,
    });
  }

  #pairCounter(name: string, help: string) {
    return new BoundCounter({
      name: `cortex_${name}`,
      help,
      labelNames: PAIR,
      registers: [this.registry],
    });
  }
}

interface Series {
  readonly duration: HistogramSeries;
  readonly ttft: HistogramSeries;
  readonly speed: HistogramSeries;
  readonly tokenSeconds: HistogramSeries;
  readonly overhead: HistogramSeries;
  readonly load: HistogramSeries;
  readonly promptSize: HistogramSeries;
  readonly completionSize: HistogramSeries;
  readonly promptTokens: CounterSeries;
  readonly completionTokens: CounterSeries;
  readonly cachedTokens: CounterSeries;
  readonly coldStarts: CounterSeries;
  readonly requests: (dialect: string, status: number) => CounterSeries;
}

/** The metrics of one model on one neuron; recording a request costs a handful of additions. */
export class ModelSeries {
  readonly #series: Series;
  readonly #requests = new Map<string, Map<number, CounterSeries>>();

  constructor(series: Series) {
    this.#series = series;
  }

  get coldStarts(): CounterSeries {
    return this.#series.coldStarts;
  }

  get load(): HistogramSeries {
    return this.#series.load;
  }

  record(figures: RequestFigures, labels: RequestLabels): void {
    const series = this.#series;
    const { promptTokens, overheadSeconds } = labels;
    this.#requestsOf(labels.dialect, figures.status).add(1);
    series.duration.observe(figures.seconds);
    if (figures.ttftSeconds !== undefined) series.ttft.observe(figures.ttftSeconds);
    if (figures.tokensPerSecond !== undefined) {
      series.speed.observe(figures.tokensPerSecond);
      series.tokenSeconds.observe(1 / figures.tokensPerSecond);
    }
    if (overheadSeconds !== undefined) series.overhead.observe(overheadSeconds);
    if (promptTokens > 0) series.promptSize.observe(promptTokens);
    if (figures.completionTokens > 0) series.completionSize.observe(figures.completionTokens);
    series.promptTokens.add(promptTokens);
    series.completionTokens.add(figures.completionTokens);
    series.cachedTokens.add(figures.cachedTokens);
  }

  #requestsOf(dialect: string, status: number): CounterSeries {
    let byStatus = this.#requests.get(dialect);
    if (byStatus === undefined) {
      byStatus = new Map();
      this.#requests.set(dialect, byStatus);
    }
    let requests = byStatus.get(status);
    if (requests === undefined) {
      requests = this.#series.requests(dialect, status);
      byStatus.set(status, requests);
    }
    return requests;
  }
}
