import { systemClock } from "../../src/base/clock.ts";
import { formatSseEvent } from "../../src/base/sse.ts";
import { HolderLeases } from "../../src/neuron/models/holder-leases.ts";
import type { NeuronEvent } from "../../src/protocol/events.ts";
import type { Device, Health } from "../../src/protocol/health.ts";
import type { LeaseClaim, LeaseRequest } from "../../src/protocol/leases.ts";
import {
  type LoadRequest,
  type Model,
  type PlanResponse,
  RESERVED_SECONDS,
  type UnloadRequest,
} from "../../src/protocol/models.ts";
import { FakeLog } from "./fake-log.ts";
import { answerRemoval } from "./fake-removal.ts";

/** Memory of the fake's models and devices is counted in these. */
export const GIB = 1024 ** 3;

/** How a fake model looks and behaves; change it while the fake runs. */
export interface FakeModelOptions {
  readonly aliases?: readonly string[];
  readonly state?: Model["state"];
  readonly bytes?: number;
  readonly slots?: number;
  readonly lastUsedMs?: number;
  readonly pinned?: boolean;
  readonly prefillTokensPerSecond?: number;
}

/** One request that the fake got. */
export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly text: string;
  readonly signal: AbortSignal;
}

type Answer = (request: FakeRequest) => Response | Promise<Response>;

/**
 * A real HTTP server that speaks a neuron's protocol, with memory that is counted and nothing that computes.
 * It records what it was asked. Loads wait for {@link FakeNeuron.finishLoad} when `holdLoads` is set; chat
 * requests are answered by `answer`, which a test may replace.
 */
export class FakeNeuron {
  readonly requests: FakeRequest[] = [];
  readonly models = new Map<string, Model>();
  holdLoads = false;
  /** The next loads fail with this cause. */
  loadFailure: string | undefined;
  answer: Answer = (request) => answerChat(request);
  /** Set to let every control request hang. */
  hung = false;
  /** Of its own, as that of every daemon. */
  instance = `fake-${crypto.randomUUID()}`;
  totalBytes = 10 * GIB;
  deviceName = "fake";
  /** Memory that is neither free nor any model's. */
  lostBytes = 0;
  state: Health["state"] = "ok";
  /** Whether an operator takes it out; undefined for a daemon that keeps no such thing. */
  drained: boolean | undefined = false;
  /** Set to count requests as they run, to refuse those for models that are not loaded, and to drain in unloads. */
  strict = false;
  /** For so long a model that became ready is nobody's victim; a real neuron's second would slow most tests down. */
  residenceMs = 0;
  readonly logs = new FakeLog();
  /** The real ones, by the real clock. */
  #leases = this.#newLeases();
  readonly #readyMs = new Map<string, number>();
  /** Freed memory that is kept for a model. */
  #kept: { readonly model: string; readonly bytes: number; readonly untilMs: number }[] = [];
  readonly #events = new Set<(event: NeuronEvent) => void>();
  readonly #loading = new Map<string, PromiseWithResolvers<void>>();
  readonly #arrivals: { matches: (request: FakeRequest) => boolean; resolve: () => void }[] = [];
  #server: Bun.Server<undefined> | undefined;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens, on the same port again after {@link kill}. */
  start(): this {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: this.#port,
      reusePort: false,
      idleTimeout: 0,
      fetch: (request) => this.#serve(request),
    });
    this.#port = this.#server.port ?? 0;
    return this;
  }

  /** Dies like a process: every connection is cut and the port refuses. */
  async kill(): Promise<void> {
    this.#events.clear();
    this.#leases.stop();
    this.#leases = this.#newLeases();
    await this.#server?.stop(true);
    this.#server = undefined;
  }

  addModel(id: string, options: FakeModelOptions = {}): this {
    const bytes = options.bytes ?? GIB;
    this.models.set(id, {
      id,
      aliases: [...(options.aliases ?? [])],
      state: options.state ?? "absent",
      devices: [0],
      context: 8192,
      slots: options.slots ?? 4,
      bytes: { weights: bytes, context: 0, compute: 0 },
      pinned: options.pinned ?? false,
      in_flight: 0,
      queued: 0,
      slots_busy: 0,
      last_used_ms: options.lastUsedMs ?? 0,
      prompt_tokens: 0,
      cached_prompt_tokens: 0,
      completion_tokens: 0,
      capabilities: ["chat"],
      digest: "",
      file_bytes: bytes,
      architecture: "fake",
      parameters: 1,
      quantization: "none",
      context_train: 8192,
      ...(options.prefillTokensPerSecond === undefined
        ? {}
        : { prefill_tokens_per_second: options.prefillTokensPerSecond }),
    });
    return this;
  }

  model(id: string): Model {
    const model = this.models.get(id);
    if (model === undefined) throw new Error(`The fake has no model '${id}'`);
    return model;
  }

  /** Changes a model and tells those who follow the events. */
  change(id: string, change: Partial<Model>): void {
    const model = { ...this.model(id), ...change };
    this.models.set(id, model);
    this.emit({ type: "model", model: this.#view(model) });
  }

  /** Ids of the models that the holder, or anybody, leases now. */
  leased(holder?: string): string[] {
    const isHis = (lease: { holder: string }) => holder === undefined || lease.holder === holder;
    return [...this.models.keys()].filter((id) => this.#leases.of(id).some(isHis));
  }

  emit(event: NeuronEvent): void {
    for (const send of this.#events) send(event);
  }

  /** Lets a held load end, also one that has not come yet. */
  finishLoad(id: string): void {
    this.#hold(id).resolve();
  }

  #hold(id: string): PromiseWithResolvers<void> {
    const held = this.#loading.get(id) ?? Promise.withResolvers<void>();
    this.#loading.set(id, held);
    return held;
  }

  /** How many requests of that path came. */
  count(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  /** Resolves once `count` requests of that path have come, those before the call included. */
  async arrived(path: string, count = 1): Promise<void> {
    while (this.count(path) < count) {
      await new Promise<void>((resolve) =>
        this.#arrivals.push({ matches: (request) => request.path === path, resolve }),
      );
    }
  }

  /** Who follows the events; a drain that waits counts as one. */
  get followers(): number {
    return this.#events.size;
  }

  async #serve(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const text = await request.text();
    const seen: FakeRequest = {
      method: request.method,
      path: pathname,
      headers: Object.fromEntries(request.headers),
      body: text === "" ? undefined : JSON.parse(text),
      text,
      signal: request.signal,
    };
    this.requests.push(seen);
    for (const waiting of this.#arrivals.splice(0)) {
      if (waiting.matches(seen)) waiting.resolve();
      else this.#arrivals.push(waiting);
    }
    if (this.hung) await new Promise(() => undefined);
    switch (pathname) {
      case "/health":
        return Response.json(this.#health());
      case "/models":
        return Response.json({ models: this.#views() });
      case "/drain":
        return this.#setDrained(seen.body as { drained: boolean });
      case "/models/leases":
        return this.#lease(seen.body as LeaseRequest);
      case "/models/plan":
        return this.#plan(seen.body as { model: string; lease?: LeaseClaim });
      case "/models/load":
        return this.#load(seen.body as LoadRequest);
      case "/models/unload":
        return await this.#unload(seen.body as UnloadRequest, request.signal);
      case "/events":
        return this.#follow(request.signal);
      case "/logs":
        return await this.logs.answer(request);
      default:
        if (request.method === "DELETE") return answerRemoval(request.url, this);
        return this.strict ? await this.#infer(seen) : await this.answer(seen);
    }
  }

  async #infer(request: FakeRequest): Promise<Response> {
    const { model: id } = request.body as { model: string };
    const model = this.models.get(id);
    if (model?.state !== "ready") {
      return failure(503, "model_not_loaded", `Model '${id}' is not loaded`);
    }
    this.change(id, { in_flight: model.in_flight + 1, last_used_ms: Date.now() });
    const answer = await this.answer(request);
    const body = await answer.bytes();
    this.change(id, { in_flight: this.model(id).in_flight - 1, last_used_ms: Date.now() });
    return new Response(body, { status: answer.status, headers: answer.headers });
  }

  #newLeases(): HolderLeases {
    const onChange = (id: string) => {
      if (this.models.has(id)) this.change(id, {});
    };
    return new HolderLeases({ clock: systemClock, onChange });
  }

  #view(model: Model): Model {
    const leases = this.#leases.of(model.id);
    return leases.length === 0 ? model : { ...model, leases };
  }

  #views(): Model[] {
    return [...this.models.values()].map((model) => this.#view(model));
  }

  #lease(request: LeaseRequest): Response {
    return Response.json(
      this.#leases.replace(request, (id) => (this.models.has(id) ? id : undefined)),
    );
  }

  #isFresh(id: string): boolean {
    return Date.now() - (this.#readyMs.get(id) ?? 0) < this.residenceMs;
  }

  #health(): Health {
    return {
      state: this.state,
      protocol: 1,
      version: "0.1.0",
      instance: this.instance,
      devices: [this.#device()],
      ...(this.drained === undefined ? {} : { drained: this.drained }),
    };
  }

  #setDrained({ drained }: { readonly drained: boolean }): Response {
    if (this.drained === undefined) return failure(404, "route_not_found", "No such route");
    this.drained = drained;
    this.emit({ type: "health", health: this.#health() });
    return Response.json(this.#health());
  }

  #device(): Device {
    return {
      index: 0,
      kind: "fake",
      name: this.deviceName,
      compute_capability: null,
      memory_total_bytes: this.totalBytes,
      memory_free_bytes: this.freeBytes,
      state: "ok",
    };
  }

  /** What the loaded models leave. */
  get freeBytes(): number {
    let used = this.lostBytes;
    for (const model of this.models.values()) {
      if (model.state === "ready" || model.state === "loading") used += model.bytes?.weights ?? 0;
    }
    return this.totalBytes - used;
  }

  /** The same for one model: what was freed for another is not free. */
  #freeFor(id: string): number {
    const kept = this.#keptForOthers(id).reduce((sum, { bytes }) => sum + bytes, 0);
    return this.freeBytes - kept;
  }

  #keptForOthers(id: string) {
    this.#kept = this.#kept.filter(({ untilMs }) => untilMs > Date.now());
    return this.#kept.filter(({ model }) => model !== id);
  }

  #plan(request: { readonly model: string; readonly lease?: LeaseClaim }): Response {
    const model = this.models.get(request.model);
    if (model === undefined) return failure(404, "model_not_found", `No model '${request.model}'`);
    if (request.lease !== undefined) this.#leases.set(model.id, request.lease);
    return Response.json(this.#planFor(model));
  }

  #planFor(model: Model): PlanResponse {
    const needed = model.bytes?.weights ?? 0;
    const loaded = this.#views().filter(({ state }) => state === "ready" || state === "loading");
    const free = this.#freeFor(model.id);
    const fits = needed <= free ? "now" : needed <= this.totalBytes ? "after" : "never";
    return {
      model: model.id,
      fits,
      bytes: model.bytes ?? { weights: 0, context: 0, compute: 0 },
      devices: [{ index: 0, needed_bytes: needed, free_bytes: free }],
      context: model.context,
      slots: model.slots,
      unloads: [
        ...loaded.map((other) => ({
          model: other.id,
          devices: [{ index: 0, bytes: other.bytes?.weights ?? 0 }],
          pinned: other.pinned,
          busy: other.in_flight > 0 || other.state === "loading" || this.#isFresh(other.id),
          ...(other.state === "loading" ? { loading: true } : {}),
          ...(other.leases === undefined ? {} : { leases: other.leases }),
          last_used_ms: other.last_used_ms,
        })),
        ...this.#keptForOthers(model.id).map(({ model: id, bytes }) => ({
          ...{ model: id, devices: [{ index: 0, bytes }], pinned: false },
          ...{ busy: true, loading: true, last_used_ms: 0 },
        })),
      ],
    };
  }

  #load(request: LoadRequest): Response {
    const model = this.models.get(request.model);
    if (model === undefined) return failure(404, "model_not_found", `No model '${request.model}'`);
    if (request.lease !== undefined) this.#leases.set(model.id, request.lease);
    if (request.pinned !== undefined) this.change(model.id, { pinned: request.pinned });
    if (model.state === "ready") return Response.json({ model: this.model(model.id) });
    if (model.state === "loading") return Response.json({ model }, { status: 202 });
    if ((model.bytes?.weights ?? 0) > this.#freeFor(model.id)) {
      return failure(507, "does_not_fit", `Model '${model.id}' does not fit`);
    }
    this.#kept = this.#kept.filter(({ model: id }) => id !== model.id);
    this.change(model.id, { state: "loading", progress: 0 });
    void this.#finish(model.id);
    return Response.json({ model: this.model(model.id) }, { status: 202 });
  }

  async #finish(id: string): Promise<void> {
    if (this.holdLoads) {
      await this.#hold(id).promise;
      this.#loading.delete(id);
    }
    const failed = this.loadFailure;
    this.#readyMs.set(id, Date.now());
    if (failed === undefined) this.change(id, { state: "ready", load_seconds: 1 });
    else this.change(id, { state: "failed", cause: failed });
  }

  async #unload(request: UnloadRequest, signal: AbortSignal): Promise<Response> {
    const model = this.models.get(request.model);
    if (model === undefined) return failure(404, "model_not_found", `No model '${request.model}'`);
    if (request.only_idle === true && model.in_flight > 0) {
      return failure(409, "conflict", `Model '${model.id}' is in use`);
    }
    if (request.only_idle === true || request.only_unleased === true) {
      const others = this.#leases.heldByOthers(model.id, request.holder);
      if (model.pinned && request.pinned_too !== true) {
        return failure(409, "conflict", `Model '${model.id}' is pinned`);
      }
      if (model.state === "loading" || others.length > 0 || this.#isFresh(model.id)) {
        return failure(409, "conflict", `Model '${model.id}' is leased, loading or new`);
      }
    }
    if (model.state === "absent") return Response.json({ model: model.id, freed_bytes: 0 });
    if (this.strict && model.in_flight > 0) {
      this.change(model.id, { state: "draining" });
      while (this.model(model.id).in_flight > 0 && !signal.aborted) await this.#nextChange(signal);
      if (signal.aborted) {
        this.change(model.id, { state: "ready" });
        return failure(409, "conflict", `Model '${model.id}' serves on`);
      }
    }
    const room = request.room_for;
    if (room !== undefined && this.models.get(room)?.state === "absent") {
      const untilMs = Date.now() + RESERVED_SECONDS * 1_000;
      this.#kept.push({ model: room, bytes: model.bytes?.weights ?? 0, untilMs });
    }
    this.change(model.id, { state: "absent" });
    return Response.json({ model: model.id, freed_bytes: model.bytes?.weights ?? 0 });
  }

  async #nextChange(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const listener = () => resolve();
    this.#events.add(listener);
    signal.addEventListener("abort", listener);
    await promise;
    this.#events.delete(listener);
  }

  #follow(signal: AbortSignal): Response {
    const encoder = new TextEncoder();
    let send: ((event: NeuronEvent) => void) | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        send = (event) => controller.enqueue(encoder.encode(formatSseEvent(event.type, event)));
        this.#events.add(send);
        send({ type: "snapshot", health: this.#health(), models: this.#views() });
      },
    });
    signal.addEventListener("abort", () => {
      if (send !== undefined) this.#events.delete(send);
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
}

/** An error answer in the protocol's envelope. */
export function failure(status: number, code: string, message: string): Response {
  return Response.json(
    { error: { message, type: "server_error", param: null, code, source: "neuron" } },
    { status },
  );
}

/** One streamed piece of an answer. */
export function chunk(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
}

/** The last events of a proper stream. */
export const STREAM_END = `data: ${JSON.stringify({
  choices: [],
  usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
})}\n\ndata: [DONE]\n\n`;

/** What a chat request is answered when a test says nothing else. */
export function answerChat(request: FakeRequest): Response {
  const { stream, model } = request.body as { stream?: boolean; model: string };
  if (stream === true) return streamOf([chunk("Hel"), chunk("lo"), STREAM_END]);
  return Response.json({
    id: "chatcmpl-fake",
    object: "chat.completion",
    model,
    choices: [
      { index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" },
    ],
    usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
  });
}

/** A stream of these pieces. */
export function streamOf(pieces: readonly string[]): Response {
  return new Response(pieces.join(""), { headers: { "content-type": "text/event-stream" } });
}
