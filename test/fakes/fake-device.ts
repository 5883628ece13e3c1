import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type {
  DeviceFigures,
  NativeEventKind,
  NativeJob,
  NativeStatus,
  RunState,
  SubmitKind,
} from "bun-ffi-cuda-bindings-local/engine";

/** Where a fake device stops until it is released. */
export type HoldPoint = "load" | "estimate" | "unload" | "prepare" | "prefill" | "decode";

/** Puts one event into the fake's ring. */
export type EmitEvent = (
  kind: NativeEventKind,
  request: number,
  payload: object,
  status?: NativeStatus,
) => void;

interface FakeRequest {
  readonly id: number;
  readonly kind: SubmitKind;
  readonly body: Record<string, unknown>;
  readonly words: number;
  /** Of those that wait for a slot, the lowest is served first. */
  readonly rank: number;
  state: "preparing" | "queued" | "running";
  sent: number;
}

interface FakeModel {
  readonly name: string;
  readonly context: number;
  readonly slots: number;
  readonly bytes: { weights: number; context: number; compute: number };
  readonly requests: FakeRequest[];
  /** Of all requests so far. */
  words: number;
  state: "ready" | "poisoned";
}

interface ArmedFault {
  readonly model: string | undefined;
  readonly phase: string;
  readonly kind: string;
  after: number;
}

/** Bytes that a token of context takes on the fake. */
const CONTEXT_BYTES_PER_TOKEN = 1_000;
const COMPUTE_BYTES = 1_000_000;
/** As in the models of the tests. */
const FAKE_LAYERS = 2;
const DEFAULT_ANSWER_TOKENS = 5;

/** A device of the fake engine: it steps jobs and requests as the real loop does, one token a step. */
export class FakeDevice {
  readonly jobs: { readonly id: number; readonly job: NativeJob }[] = [];
  readonly models = new Map<string, FakeModel>();
  stopping = false;
  /** As if the loop had not come by for so long. */
  turnMsAgo = 0;
  /** As if so many threads hung in preparing. */
  preparingStuck = 0;
  poisonCause: string | null = null;
  #fault: ArmedFault | undefined;
  #steps = 0;

  constructor(
    readonly name: string,
    readonly devices: readonly number[],
    readonly world: {
      readonly emit: EmitEvent;
      readonly held: ReadonlySet<HoldPoint>;
      /** Of a device by its index, whichever loops use it. */
      readonly memory: (index: number) => object;
    },
  ) {}

  get loadedBytes(): number {
    let sum = 0;
    for (const { bytes } of this.models.values()) {
      sum += bytes.weights + bytes.context + bytes.compute;
    }
    return sum;
  }

  /** Whether a step would do something. */
  get hasWork(): boolean {
    if (this.stopping || this.poisonCause !== null) return true;
    if (this.#isAway) return false;
    if (this.jobs.length > 0) return true;
    return [...this.models.values()].some((model) =>
      model.requests.some((request) => this.#canMove(model, request)),
    );
  }

  /** One step: a job if there is one, then a token for every running request. */
  step(): RunState {
    this.#steps += 1;
    if (this.poisonCause !== null) return "poisoned";
    if (this.stopping) {
      for (const { id } of this.jobs.splice(0)) this.#fail(id, "cancelled", "Device stopped");
      for (const model of this.models.values()) this.#failAll(model, "cancelled", "Device stopped");
      return "stopped";
    }
    if (this.#isAway) return "again";
    const next = this.jobs.shift();
    if (next !== undefined) this.#runJob(next.id, next.job);
    for (const model of this.models.values()) this.#stepModel(model);
    return "again";
  }

  submit(id: number, kind: SubmitKind, model: FakeModel, body: Record<string, unknown>): void {
    const words = JSON.stringify(body["messages"] ?? body["prompt"] ?? body["content"] ?? "").split(
      /\s+/,
    ).length;
    model.words += words;
    const rank = performance.now() - Number(body["queue_age_ms"] ?? 0);
    model.requests.push({ id, kind, body, words, rank, state: "preparing", sent: 0 });
  }

  cancel(id: number): boolean {
    const job = this.jobs.findIndex((queued) => queued.id === id);
    if (job >= 0) {
      this.jobs.splice(job, 1);
      this.#fail(id, "cancelled", "The job was cancelled");
      return true;
    }
    for (const model of this.models.values()) {
      const index = model.requests.findIndex((request) => request.id === id);
      if (index < 0) continue;
      model.requests.splice(index, 1);
      this.#fail(id, "cancelled", "Request was cancelled");
      return true;
    }
    return false;
  }

  figures(): DeviceFigures {
    const models = [...this.models.values()].map((model) => {
      const count = (state: FakeRequest["state"]) =>
        model.requests.filter((request) => request.state === state).length;
      return {
        model: model.name,
        state: model.state,
        slots: model.slots,
        slots_busy: count("running"),
        preparing: count("preparing"),
        queued: count("queued"),
        in_flight: model.requests.length,
        ...{ prompt_tokens: 0, cached_prompt_tokens: 0, completion_tokens: 0 },
        ...{ prefill_tokens_per_second: 0, decode_tokens_per_second: 0 },
        ...{ steps: this.#steps, context_tokens_used: 0 },
      };
    });
    const cause = this.poisonCause;
    const state = cause === null ? ("ok" as const) : ("poisoned" as const);
    return {
      ...{ state, cause, steps: this.#steps, last_step_ms_ago: 0, longest_step_ms: 1 },
      ...{ turn_ms_ago: this.turnMsAgo, doing: "", preparing_stuck: this.preparingStuck, models },
    };
  }

  /** A job keeps the whole device: what came after it waits, and no model steps. */
  get #isAway(): boolean {
    const [first] = this.jobs;
    return first !== undefined && this.world.held.has(first.job.op as HoldPoint);
  }

  #canMove(model: FakeModel, request: FakeRequest): boolean {
    if (model.state === "poisoned") return false;
    const { held } = this.world;
    if (request.state === "preparing") return !held.has("prepare");
    if (request.state === "queued") {
      const isPassed = (other: FakeRequest) =>
        other.state === "queued" && other.rank < request.rank;
      return this.#running(model) < model.slots && !model.requests.some(isPassed);
    }
    return request.sent === 0 ? !held.has("prefill") : !held.has("decode");
  }

  #running(model: FakeModel): number {
    return model.requests.filter((request) => request.state === "running").length;
  }

  #stepModel(model: FakeModel): void {
    for (const request of [...model.requests]) {
      if (this.poisonCause !== null || !this.#canMove(model, request)) continue;
      if (request.state === "preparing") this.#prepare(model, request);
      else if (request.state === "queued") request.state = "running";
      else this.#decode(model, request);
    }
  }

  #prepare(model: FakeModel, request: FakeRequest): void {
    const { kind, body } = request;
    if (kind === "count_tokens") {
      this.#finish(model, request, { input_tokens: request.words });
      return;
    }
    if (kind === "tokenize") {
      const tokens = String(body["content"])
        .split(/\s+/)
        .map((_, index) => index);
      this.#finish(model, request, { tokens });
      return;
    }
    if (typeof body["grammar"] === "string" && !body["grammar"].includes("::=")) {
      this.#drop(model, request, "argument", { message: "the grammar does not parse" });
      return;
    }
    if (request.words >= model.context) {
      const figures = { prompt_tokens: request.words, context_tokens: model.context };
      this.#drop(model, request, "context", { message: "too long", ...figures });
      return;
    }
    request.state = "queued";
  }

  #decode(model: FakeModel, request: FakeRequest): void {
    if (this.#fires(model.name, "decode")) {
      this.#fireFault(model, request);
      return;
    }
    if (request.kind === "embeddings" || request.kind === "rerank") {
      const data = [{ object: "embedding", index: 0, embedding: [0.5, 0.5] }];
      const results = [{ index: 0, relevance_score: 0.9 }];
      this.#finish(model, request, request.kind === "rerank" ? { results } : { data });
      return;
    }
    const wanted = Number(request.body["max_tokens"] ?? DEFAULT_ANSWER_TOKENS);
    if (request.sent < wanted) {
      request.sent += 1;
      if (request.body["stream"] === true) {
        const delta = { content: `w${request.sent} ` };
        const usage =
          request.sent === 1 && asksForPromptUsage(request) ? usageOf(request, 0) : null;
        this.world.emit("chunk", request.id, {
          choices: [{ index: 0, delta }],
          ...(usage === null ? {} : { usage }),
        });
      }
      return;
    }
    const usage = usageOf(request, wanted);
    const cortex = { usage, finish_reason: "length", prefill_ms: 10, decode_ms: wanted * 10 };
    const message = { role: "assistant", content: "w".repeat(wanted) };
    if (request.body["stream"] === true) {
      model.requests.splice(model.requests.indexOf(request), 1);
      this.world.emit("end", request.id, cortex);
    } else {
      const choice = { index: 0, message, finish_reason: "length", stop_reason: null };
      this.#finish(model, request, { choices: [choice], usage, cortex });
    }
  }

  #fires(model: string, phase: string): boolean {
    const fault = this.#fault;
    if (fault === undefined || fault.phase !== phase) return false;
    if (fault.model !== undefined && fault.model !== model) return false;
    fault.after -= 1;
    return fault.after <= 0;
  }

  #fireFault(model: FakeModel, request: FakeRequest): void {
    const kind = this.#fault?.kind;
    this.#fault = undefined;
    const cause = "injected fault";
    if (kind === "exception") {
      this.#drop(model, request, "internal", { message: "injected exception" });
      return;
    }
    const scope = kind === "device" ? "device" : "model";
    const doomed = scope === "device" ? [...this.models.values()] : [model];
    for (const each of doomed) each.state = "poisoned";
    const named = scope === "device" ? null : model.name;
    const fault = { device: this.name, model: named, scope, cause, phase: "decode" };
    this.world.emit("fault", 0, fault, "fault");
    for (const each of doomed) this.#failAll(each, "fault", cause);
    if (scope === "device") this.poisonCause = cause;
  }

  #runJob(id: number, job: NativeJob): void {
    const result = this.#execute(id, job);
    if (result !== undefined) this.world.emit("result", id, result);
  }

  #execute(id: number, job: NativeJob): object | undefined {
    switch (job.op) {
      case "load":
        return this.#load(id, job);
      case "estimate":
        return this.#estimate(id, job);
      case "unload":
        return this.#unload(id, job);
      case "memory": {
        const devices = this.devices.map((index) => this.world.memory(index));
        return { devices, models: [] };
      }
      case "kv_save":
        return this.#saveKv(job);
      case "kv_restore":
        return this.#restoreKv(id, job);
      case "fault":
        this.#fault = {
          model: job["model"] as string | undefined,
          phase: String(job["phase"]),
          kind: String(job["kind"]),
          after: Number(job["after"]),
        };
        return { armed: true };
      default:
        this.#fail(id, "argument", `Unknown job '${job.op}'`);
        return undefined;
    }
  }

  #shape(id: number, job: NativeJob) {
    const path = String(job["path"]);
    if (!existsSync(path) || path.includes("damaged")) {
      this.#fail(id, "load", `${path} is damaged or missing`);
      return undefined;
    }
    const [context, slots] = [Number(job["context"]), Number(job["slots"])];
    const weights = statSync(path).size;
    const kv = context * slots * CONTEXT_BYTES_PER_TOKEN;
    return { context, slots, bytes: { weights, context: kv, compute: COMPUTE_BYTES } };
  }

  #estimate(id: number, job: NativeJob): object | undefined {
    const shape = this.#shape(id, job);
    if (shape === undefined) return undefined;
    const total = shape.bytes.weights + shape.bytes.context + shape.bytes.compute;
    const layers = job["gpu_layers"];
    // Layers that are not on the GPU are in the host's memory.
    const onDevices = typeof layers === "number" ? (total * layers) / FAKE_LAYERS : total;
    const share = Math.ceil(onDevices / this.devices.length);
    const on = (index: number, bytes: number) => {
      return { index, bytes, weights: bytes, context: 0, compute: 0, free_bytes: 0 };
    };
    const devices = this.devices.map((index) => on(index, share));
    const rest = onDevices < total ? [on(0, total - onDevices)] : [];
    return { ...shape, devices: [...devices, ...rest] };
  }

  #load(id: number, job: NativeJob): object | undefined {
    const name = String(job["model"]);
    if (this.models.get(name)?.state === "ready") {
      this.#fail(id, "state", `Model '${name}' is loaded already`);
      return undefined;
    }
    const shape = this.#shape(id, job);
    if (shape === undefined) return undefined;
    this.world.emit("progress", id, { model: name, stage: "text_model", value: 0.5 });
    if (this.#fires(name, "load")) {
      this.#fault = undefined;
      const fault = { device: this.name, model: name, scope: "model", cause: "injected fault" };
      this.world.emit("fault", 0, { ...fault, phase: "load" }, "fault");
      this.#fail(id, "fault", "injected fault");
      return undefined;
    }
    this.models.set(name, { name, ...shape, requests: [], words: 0, state: "ready" });
    const capabilities = job["embedding"] === true ? ["embeddings"] : ["chat", "completion"];
    return { model: name, load_ms: 7, ...shape, parameters: 1, capabilities, template_caps: {} };
  }

  /** A cache holds as many tokens as its model has been asked for words. */
  #saveKv(job: NativeJob): object {
    const tokens = this.models.get(String(job["model"]))?.words ?? 0;
    writeFileSync(String(job["path"]), `KV${tokens}`);
    return { tokens, left_out: 0, bytes: 10, ms: 1 };
  }

  #restoreKv(id: number, job: NativeJob): object | undefined {
    const tokens = /^KV([0-9]+)$/.exec(readFileSync(String(job["path"]), "utf8"))?.[1];
    if (tokens !== undefined) return { tokens: Number(tokens), bytes: 10, ms: 1 };
    this.#fail(id, "argument", "its checksum is wrong; nothing was restored");
    return undefined;
  }

  #unload(id: number, job: NativeJob): object | undefined {
    const name = String(job["model"]);
    const model = this.models.get(name);
    if (model === undefined) {
      this.#fail(id, "not_found", `Model '${name}' is not loaded`);
      return undefined;
    }
    this.#failAll(model, "cancelled", "Model was unloaded");
    this.models.delete(name);
    const { weights, context, compute } = model.bytes;
    return { model: name, freed_bytes: weights + context + compute };
  }

  #finish(model: FakeModel, request: FakeRequest, result: object): void {
    model.requests.splice(model.requests.indexOf(request), 1);
    this.world.emit("result", request.id, result);
  }

  #drop(model: FakeModel, request: FakeRequest, status: NativeStatus, payload: object): void {
    model.requests.splice(model.requests.indexOf(request), 1);
    this.world.emit("error", request.id, payload, status);
  }

  #failAll(model: FakeModel, status: NativeStatus, message: string): void {
    for (const { id } of model.requests.splice(0)) this.#fail(id, status, message);
  }

  #fail(id: number, status: NativeStatus, message: string): void {
    this.world.emit("error", id, { message }, status);
  }
}

function usageOf(request: FakeRequest, completionTokens: number) {
  return {
    prompt_tokens: request.words,
    completion_tokens: completionTokens,
    total_tokens: request.words + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
  };
}

function asksForPromptUsage({ body }: FakeRequest): boolean {
  const options = body["stream_options"] as { readonly prompt_usage?: boolean } | undefined;
  return options?.prompt_usage === true;
}
