import type { NeuronEvent } from "../../src/protocol/events.ts";
import type { Device, Health } from "../../src/protocol/health.ts";
import type { LoadRequest, Model, PlanResponse, UnloadRequest } from "../../src/protocol/models.ts";

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
  state: Health["state"] = "ok";
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
    this.emit({ type: "model", model });
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

  /** Who follows the events. */
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
        return Response.json({ models: [...this.models.values()] });
      case "/models/plan":
        return this.#plan((seen.body as { model: string }).model);
      case "/models/load":
        return this.#load(seen.body as LoadRequest);
      case "/models/unload":
        return this.#unload(seen.body as UnloadRequest);
      case "/events":
        return this.#follow(request.signal);
      default:
        return await this.answer(seen);
    }
  }

  #health(): Health {
    return {
      state: this.state,
      protocol: 1,
      version: "0.1.0",
      instance: this.instance,
      devices: [this.#device()],
    };
  }

  #device(): Device {
    return {
      index: 0,
      kind: "fake",
      name: "fake",
      compute_capability: null,
      memory_total_bytes: this.totalBytes,
      memory_free_bytes: this.freeBytes,
      state: "ok",
    };
  }

  /** What the loaded models leave. */
  get freeBytes(): number {
    let used = 0;
    for (const model of this.models.values()) {
      if (model.state === "ready" || model.state === "loading") used += model.bytes?.weights ?? 0;
    }
    return this.totalBytes - used;
  }

  #plan(id: string): Response {
    const model = this.models.get(id);
    if (model === undefined) return failure(404, "model_not_found", `No model '${id}'`);
    return Response.json(this.#planFor(model));
  }

  #planFor(model: Model): PlanResponse {
    const needed = model.bytes?.weights ?? 0;
    const loaded = [...this.models.values()].filter((other) => other.state === "ready");
    const fits = needed <= this.freeBytes ? "now" : needed <= this.totalBytes ? "after" : "never";
    return {
      model: model.id,
      fits,
      bytes: model.bytes ?? { weights: 0, context: 0, compute: 0 },
      devices: [{ index: 0, needed_bytes: needed, free_bytes: this.freeBytes }],
      context: model.context,
      slots: model.slots,
      unloads: loaded.map((other) => ({
        model: other.id,
        devices: [{ index: 0, bytes: other.bytes?.weights ?? 0 }],
        pinned: other.pinned,
        busy: other.in_flight > 0,
        last_used_ms: other.last_used_ms,
      })),
    };
  }

  #load(request: LoadRequest): Response {
    const model = this.models.get(request.model);
    if (model === undefined) return failure(404, "model_not_found", `No model '${request.model}'`);
    if (model.state === "ready") return Response.json({ model });
    if ((model.bytes?.weights ?? 0) > this.freeBytes) {
      return failure(507, "does_not_fit", `Model '${model.id}' does not fit`);
    }
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
    if (failed === undefined) this.change(id, { state: "ready", load_seconds: 1 });
    else this.change(id, { state: "failed", cause: failed });
  }

  #unload(request: UnloadRequest): Response {
    const model = this.models.get(request.model);
    if (model === undefined) return failure(404, "model_not_found", `No model '${request.model}'`);
    if (request.only_idle === true && model.in_flight > 0) {
      return failure(409, "conflict", `Model '${model.id}' is in use`);
    }
    this.change(model.id, { state: "absent" });
    return Response.json({ model: model.id, freed_bytes: model.bytes?.weights ?? 0 });
  }

  #follow(signal: AbortSignal): Response {
    const encoder = new TextEncoder();
    let send: ((event: NeuronEvent) => void) | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        send = (event) =>
          controller.enqueue(
            encoder.encode(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
          );
        this.#events.add(send);
        send({ type: "snapshot", health: this.#health(), models: [...this.models.values()] });
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

/** A stream that a test writes to by hand. */
export class HeldStream {
  readonly response: Response;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #encoder = new TextEncoder();

  constructor() {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
      },
    });
    this.response = new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  end(): void {
    this.#controller?.close();
  }
}
