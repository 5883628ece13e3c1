import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { registerProcessMetrics } from "./process-metrics.ts";
import { renderAsVllm } from "./render-as-vllm.ts";
import { TOKEN_COUNTS } from "./token-counts.ts";
import { TraceMetrics } from "./trace-metrics.ts";
import { NEURON_AS_VLLM } from "./vllm-names.ts";

/** A model's figures as they are scraped. */
export interface ModelGauges {
  readonly id: string;
  readonly state: string;
  readonly in_flight: number;
  readonly queued: number;
  readonly slots: number;
  readonly slots_busy: number;
  readonly prefill_tokens_per_second?: number;
  readonly decode_tokens_per_second?: number;
  readonly load_seconds?: number;
  readonly prompt_cache_bytes?: number;
  readonly drafted_tokens?: number;
  readonly accepted_tokens?: number;
  readonly device_bytes?: readonly {
    readonly index: number;
    readonly weights: number;
    readonly context: number;
    readonly compute: number;
  }[];
}

/** An ended request's tokens and times. */
export interface RequestTokens {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  readonly queueMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** How the text ended; undefined where there is none. */
  readonly finish: "stop" | "length" | undefined;
}

/** A device's figures as they are scraped. */
export interface DeviceGauges {
  readonly index: number;
  readonly memory_total_bytes: number;
  readonly memory_free_bytes: number;
  readonly state: string;
}

/** What the gauges are read from at each scrape. */
export interface NeuronGaugeSource {
  models(): readonly ModelGauges[];
  devices(): readonly DeviceGauges[];
}

/** Per-model handles for the streaming path, looked up once. */
export interface StreamMetrics {
  observeFirstToken(seconds: number): void;
  observeGap(seconds: number): void;
}

/** The status of a request whose client left. */
const ABORTED = 499;
const MODEL_STATES = ["absent", "loading", "ready", "draining", "failed", "poisoned"];
const TTFT_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
const DURATION_BUCKETS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200];
const SPEED_BUCKETS = [1, 2.5, 5, 10, 15, 20, 30, 40, 60, 80, 120, 200];
const GAP_BUCKETS = [0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.5, 1, 2, 5, 10];
const QUEUE_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
const LOAD_BUCKETS = [0.25, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320];

/** Every metric of the neuron. Model labels come from the catalogue, never from what a client wrote. */
export class NeuronMetrics {
  readonly #registry = new Registry();
  readonly traces = new TraceMetrics(this.#registry, "cortex_neuron");
  readonly #streams = new Map<string, StreamMetrics>();
  /** Fill the gauges before each scrape. */
  readonly #fillers: (() => void)[] = [];
  readonly #requests = this.#counter("requests_total", "Requests ended", [
    "model",
    "kind",
    "status",
  ]);
  readonly #tokens = this.#counter("tokens_total", "Tokens read and written", ["model", "kind"]);
  readonly #rejections = this.#counter("rejections_total", "Requests refused before the engine", [
    "reason",
  ]);
  readonly #faults = this.#counter("faults_total", "Faults of devices", ["scope"]);
  readonly #pulls = this.#counter("pulls_total", "Downloads of models ended", ["outcome"]);
  readonly #pulledBytes = this.#counter("pulled_bytes_total", "Bytes of models downloaded", []);
  readonly #kv = this.#counter("kv_total", "Caches saved at unloads and restored at loads", [
    "outcome",
  ]);
  readonly #kvTokens = this.#counter("kv_tokens_total", "Tokens in these caches", ["outcome"]);
  readonly #queue = this.#histogram(
    "queue_seconds",
    "From a request's acceptance by the engine to a slot",
    QUEUE_BUCKETS,
  );
  readonly #prefill = this.#histogram(
    "prefill_seconds",
    "Time in which a request's prompt was read",
    QUEUE_BUCKETS,
  );
  readonly #decode = this.#histogram(
    "decode_seconds",
    "Time in which a request's answer was written",
    DURATION_BUCKETS,
  );
  readonly #promptSize = this.#histogram(
    "request_prompt_tokens",
    "Prompt tokens of a request",
    TOKEN_COUNTS,
  );
  readonly #completionSize = this.#histogram(
    "request_completion_tokens",
    "Completion tokens of a request",
    TOKEN_COUNTS,
  );
  readonly #finished = this.#counter("finished_total", "Texts by how they ended", [
    "model",
    "reason",
  ]);
  readonly #loads = this.#histogram("load_seconds", "Time of model loads", LOAD_BUCKETS);
  readonly #duration = this.#histogram("request_duration_seconds", "Requests", DURATION_BUCKETS);
  readonly #firstToken = this.#histogram(
    "time_to_first_token_seconds",
    "From a request's arrival to its first token",
    TTFT_BUCKETS,
  );
  readonly #gap = this.#histogram("inter_token_seconds", "Between streamed chunks", GAP_BUCKETS);
  readonly #speed = this.#histogram("tokens_per_second", "Speed of one request", SPEED_BUCKETS, [
    "phase",
  ]);

  constructor(source: NeuronGaugeSource) {
    registerProcessMetrics(this.#registry, "neuron");
    this.#registerModelGauges(source);
    this.#registerDeviceGauges(source);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** What a scrape gets; `vllm` tells some of it under the names of vLLM. */
  async render(names?: "vllm"): Promise<string> {
    for (const fill of this.#fillers) fill();
    if (names === undefined) return await this.#registry.metrics();
    return renderAsVllm(await this.#registry.getMetricsAsJSON(), NEURON_AS_VLLM);
  }

  /** `status` is the HTTP status, or 499 for a client that left. */
  countRequest(model: string, request: { kind: string; status: number; seconds: number }): void {
    this.#requests.inc({ model, kind: request.kind, status: String(request.status) });
    this.#duration.observe({ model }, request.seconds);
    if (request.status === ABORTED) this.#finished.inc({ model, reason: "abort" });
  }

  countRejection(reason: string): void {
    this.#rejections.inc({ reason });
  }

  countTokens(model: string, figures: RequestTokens): void {
    const { promptTokens, cachedTokens, completionTokens, prefillMs, decodeMs } = figures;
    this.#tokens.inc({ model, kind: "prompt" }, promptTokens);
    this.#tokens.inc({ model, kind: "cached" }, cachedTokens);
    this.#tokens.inc({ model, kind: "completion" }, completionTokens);
    if (figures.draftedTokens > 0) {
      this.#tokens.inc({ model, kind: "drafted" }, figures.draftedTokens);
      this.#tokens.inc({ model, kind: "accepted" }, figures.acceptedTokens);
    }
    this.#queue.observe({ model }, figures.queueMs / 1000);
    this.#prefill.observe({ model }, prefillMs / 1000);
    this.#promptSize.observe({ model }, promptTokens);
    if (figures.finish !== undefined) {
      this.#decode.observe({ model }, decodeMs / 1000);
      this.#completionSize.observe({ model }, completionTokens);
      this.#finished.inc({ model, reason: figures.finish });
    }
    const prefilled = promptTokens - cachedTokens;
    if (prefilled > 0 && prefillMs > 0) {
      this.#speed.observe({ model, phase: "prefill" }, (prefilled * 1000) / prefillMs);
    }
    if (completionTokens > 1 && decodeMs > 0) {
      this.#speed.observe({ model, phase: "decode" }, (completionTokens * 1000) / decodeMs);
    }
  }

  /** `outcome` is saved, restored or failed. */
  countKv(outcome: string, tokens: number): void {
    this.#kv.inc({ outcome });
    this.#kvTokens.inc({ outcome }, tokens);
  }

  /** `outcome` is the state in which it ended. */
  countPull(outcome: string, bytes: number): void {
    this.#pulls.inc({ outcome });
    this.#pulledBytes.inc(bytes);
  }

  countFault(scope: "model" | "device"): void {
    this.#faults.inc({ scope });
  }

  observeLoad(model: string, seconds: number): void {
    this.#loads.observe({ model }, seconds);
  }

  stream(model: string): StreamMetrics {
    let handles = this.#streams.get(model);
    if (handles === undefined) {
      const first = this.#firstToken.labels(model);
      const gap = this.#gap.labels(model);
      handles = {
        observeFirstToken: (seconds) => first.observe(seconds),
        observeGap: (seconds) => gap.observe(seconds),
      };
      this.#streams.set(model, handles);
    }
    return handles;
  }

  #registerModelGauges(source: NeuronGaugeSource): void {
    const state = this.#gauge("model_state", "1 for the state that a model is in", [
      "model",
      "state",
    ]);
    const bytes = this.#gauge("model_bytes", "Device memory of a model", [
      "model",
      "device",
      "part",
    ]);
    const figures = [
      ["in_flight", "Requests accepted and not ended", "in_flight"],
      ["queued", "Requests that wait for a slot", "queued"],
      ["slots", "Requests that a model serves at once", "slots"],
      ["slots_busy", "Slots that compute now", "slots_busy"],
      ["prefill_tokens_per_second", "Measured speed", "prefill_tokens_per_second"],
      ["decode_tokens_per_second", "Measured speed of one request", "decode_tokens_per_second"],
      ["prompt_cache_bytes_max", "Host memory that kept prompts may take", "prompt_cache_bytes"],
      ["last_load_seconds", "Time of the last load", "load_seconds"],
    ] as const;
    const gauges = figures.map(
      ([name, help, key]) => [this.#gauge(name, help, ["model"]), key] as const,
    );
    const acceptance = this.#gauge(
      "draft_acceptance",
      "Share of the drafted tokens that the model agreed to",
      ["model"],
    );
    const count = this.#gauge("models", "Models that this neuron can serve", []);
    this.#fillers.push(() => {
      const models = source.models();
      count.set(models.length);
      for (const gauge of [state, bytes, acceptance, ...gauges.map(([each]) => each)])
        gauge.reset();
      for (const model of models) {
        for (const name of MODEL_STATES) {
          state.set({ model: model.id, state: name }, model.state === name ? 1 : 0);
        }
        for (const [gauge, key] of gauges) {
          const value = model[key];
          if (value !== undefined) gauge.set({ model: model.id }, value);
        }
        for (const { index, ...parts } of model.device_bytes ?? []) {
          for (const [part, value] of Object.entries(parts)) {
            bytes.set({ model: model.id, device: String(index), part }, value);
          }
        }
        const { drafted_tokens: drafted = 0, accepted_tokens: accepted = 0 } = model;
        if (drafted > 0) acceptance.set({ model: model.id }, accepted / drafted);
      }
    });
  }

  #registerDeviceGauges(source: NeuronGaugeSource): void {
    const state = this.#gauge("device_state", "1 while a device serves, 0 once it is poisoned", [
      "device",
    ]);
    const memory = this.#gauge("device_memory_bytes", "Memory of a device", ["device", "state"]);
    this.#fillers.push(() => {
      const devices = source.devices();
      for (const device of devices) {
        const index = String(device.index);
        const used = device.memory_total_bytes - device.memory_free_bytes;
        state.set({ device: index }, device.state === "ok" ? 1 : 0);
        memory.set({ device: index, state: "free" }, device.memory_free_bytes);
        memory.set({ device: index, state: "used" }, used);
      }
    });
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({
      name: `cortex_neuron_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
    });
  }

  #histogram(name: string, help: string, buckets: number[], labels: string[] = []): Histogram {
    return new Histogram({
      name: `cortex_neuron_${name}`,
      help,
      labelNames: ["model", ...labels],
      buckets,
      registers: [this.#registry],
    });
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({
      name: `cortex_neuron_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
    });
  }
}
