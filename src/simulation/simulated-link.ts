import { ByteSpan } from "../base/byte-span.ts";
import { CortexError } from "../base/errors.ts";
import type {
  Origin,
  UpstreamCall,
  UpstreamRequest,
  UpstreamSink,
} from "../gateway/upstream/connection.ts";
import type { JsonCallOptions } from "../gateway/upstream/json-call.ts";
import type { EventSink, NeuronApi } from "../gateway/upstream/neuron-api.ts";
import type { LoadRequest } from "../protocol/models.ts";
import {
  type CallWork,
  isBegun,
  type Lane,
  type NeuronWay,
  type OpenConnection,
  SimulatedCall,
} from "./simulated-call.ts";
import type { SimulatedNeuron } from "./simulated-neuron.ts";
import type { Ask } from "./specs.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** As upstream/http-origin.ts bounds it. */
const CONNECT_TIMEOUT_MS = 5_000;
/** After so long TCP's probes find that the other side is gone. */
const KEEPALIVE_MS = 25_000;

/** How bodies of simulated requests begin, whatever the gateway makes of the rest. */
const HEAD = /^\{"model":("(?:[^"\\]|\\.)*"),"user":"simulated-(\d+)"/;
/** A model's name and a number. */
const HEAD_BYTES = 1_024;

/** What a gateway orders of a neuron, at the moment in which it arrives there. */
export type ArrivedOrder =
  /** A needless one is for a model that this gateway has had loaded there, and must know to be on its way. */
  | { readonly kind: "load"; readonly model: string; readonly isNeedless: boolean }
  /** A careful one is refused for a model in use, or ends a load. */
  | { readonly kind: "unload"; readonly model: string; readonly isCareful: boolean };

/** What the links of a run share. */
export interface LinkWorld {
  readonly clock: VirtualClock;
  /** The requests under way, by their ids. */
  readonly asks: ReadonlyMap<number, Ask>;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** How long packets take, one way. */
export interface LinkDelay {
  readonly latencyMs: number;
  /** By how many times of that the slowest are late; 0 makes all of them equal. */
  readonly spread: number;
}

/**
 * The network between one gateway and one neuron: carries control calls, events and requests with a delay, and breaks.
 * Owner of its open connections. Stands in for the gateway's sockets and for HTTP; both sides get copies.
 */
export class SimulatedLink implements Origin, NeuronWay {
  readonly neuron: SimulatedNeuron;
  readonly api: NeuronApi;
  readonly #delay: LinkDelay;
  /** Events are lost while the stream seems well. */
  losesEvents = false;
  /** Told of loads and unloads that this gateway orders. */
  onOrder: (order: ArrivedOrder) => void = () => undefined;
  /** When this gateway ordered each model last. */
  readonly #orderedMs = new Map<string, number>();
  /** When it last may have missed something. */
  #disturbedMs = 0;
  #isCut = false;
  #isDead = false;
  readonly #world: LinkWorld;
  readonly #open = new Set<OpenConnection>();

  constructor(neuron: SimulatedNeuron, world: LinkWorld, delay: LinkDelay) {
    this.neuron = neuron;
    this.#world = world;
    this.#delay = delay;
    this.api = {
      health: (options) => this.#ask(options, () => neuron.health()),
      models: (options) => this.#ask(options, () => neuron.list()),
      plan: (request, options) => this.#ask(options, () => neuron.plan(request)),
      load: (request, options) =>
        this.#ask(options, () => {
          this.#noteLoad(request);
          return neuron.load(request);
        }),
      unload: (request, options) =>
        this.#ask(options, () => {
          const isLoading = neuron.models.get(request.model)?.state === "loading";
          const isCareful =
            request.only_idle === true || request.only_unleased === true || isLoading;
          this.onOrder({ kind: "unload", model: request.model, isCareful });
          return neuron.unload(request, options.signal);
        }),
      remove: (model, _, options) =>
        this.#ask(options, () => {
          throw new CortexError("unsupported", `'${model}' has no files in a simulation`);
        }),
      drain: ({ drained }, options) => this.#ask(options, () => neuron.setDrained(drained)),
      leases: (request, options) => this.#ask(options, () => neuron.setLeases(request)),
      events: (sink, lastEventId) => this.#follow(sink, lastEventId),
    };
  }

  /** Nothing gets through any more, in either direction, and nobody is told. */
  cut(): void {
    this.#isCut = true;
    this.#noteDisturbance();
    for (const connection of [...this.#open]) {
      this.#world.clock.after(KEEPALIVE_MS, () => {
        if (this.#isCut) connection.break("no answer to probes");
      });
    }
  }

  /** Packets get through again; connections that were open meanwhile are reset. */
  heal(): void {
    if (!this.#isCut) return;
    this.#isCut = false;
    this.#noteDisturbance();
    for (const connection of [...this.#open]) connection.break("reset by the peer");
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamCall {
    const call = new SimulatedCall(this, { work: this.#read(request), sink });
    this.connect({
      onConnected: () => call.begin(),
      onRefused: (error) => call.fail(error, "connect"),
    });
    return call;
  }

  close(): void {
    for (const connection of [...this.#open]) connection.break("closed");
  }

  /** The gateway's process has died: its connections are closed, and nothing more is sent or heard. */
  die(): void {
    this.#isDead = true;
    this.close();
  }

  /**
   * Does something on the other side after the way there, unless it is cut. What goes the same lane arrives in its
   * order; all else may overtake it.
   */
  travel(act: () => void, lane?: Lane): void {
    if (this.#isCut || this.#isDead) return;
    const nowMs = this.#world.clock.monotonicMs();
    const arrivesMs = Math.max(nowMs + this.#drawMs(), lane?.arrivesMs ?? 0);
    if (lane !== undefined) lane.arrivesMs = arrivesMs;
    this.#world.clock.after(arrivesMs - nowMs, () => {
      if (!this.#isCut && !this.#isDead) act();
    });
  }

  /** Most packets are about as fast as can be, a few are late. */
  #drawMs(): number {
    const { latencyMs, spread } = this.#delay;
    return spread === 0 ? latencyMs : latencyMs * (1 + spread * this.#world.random() ** 4);
  }

  /** Calls one of the two, when the neuron has accepted the connection or it is clear that it will not. */
  connect(told: { onConnected(): void; onRefused(error: CortexError): void }): void {
    if (this.#isDead) return;
    if (this.#isCut) {
      const error = connectError(this.neuron.name, `no connection within ${CONNECT_TIMEOUT_MS} ms`);
      this.#world.clock.after(CONNECT_TIMEOUT_MS, () => told.onRefused(error));
      return;
    }
    this.#world.clock.after(this.#drawMs(), () => {
      if (this.#isDead) return;
      if (this.neuron.state !== "dead") told.onConnected();
      else told.onRefused(connectError(this.neuron.name, "ECONNREFUSED"));
    });
  }

  /** Tells the connection when it breaks, until the returned function is called. */
  watch(connection: OpenConnection): () => void {
    this.#open.add(connection);
    const forget = this.neuron.onDeath(() =>
      this.travel(() => connection.break("closed by the peer")),
    );
    return () => {
      this.#open.delete(connection);
      forget();
    };
  }

  #noteLoad({ model, pinned }: LoadRequest): void {
    const found = this.neuron.models.get(model);
    const isLoading = found?.state === "loading";
    const orderedMs = this.#orderedMs.get(model) ?? 0;
    const isOwn = isLoading && orderedMs === found.loadingSinceMs;
    // An operator may pin what is on its way.
    const isPin = pinned !== undefined && pinned !== found?.pinned;
    const isNeedless = isOwn && !isPin && orderedMs > this.#disturbedMs && !this.losesEvents;
    if (!isLoading) this.#orderedMs.set(model, this.#world.clock.monotonicMs());
    this.onOrder({ kind: "load", model, isNeedless });
  }

  #noteDisturbance(): void {
    this.#disturbedMs = this.#world.clock.monotonicMs();
  }

  /** What a request's body says: whose it is, and the model as the gateway calls it here. */
  #read({ path, body }: UpstreamRequest): CallWork {
    const bytes = body instanceof ByteSpan ? body.toBuffer() : Buffer.from(body ?? "");
    if (path.endsWith("/tokenize")) return { kind: "tokenize", bytes: bytes.length };
    const head = bytes.toString("utf8", 0, HEAD_BYTES);
    const [, model, id] = HEAD.exec(head) ?? [];
    const ask = this.#world.asks.get(Number(id));
    if (ask === undefined || model === undefined) throw new Error(`Not simulated: ${path} ${head}`);
    return { kind: "chat", ask, model: JSON.parse(model) as string, goesOn: isBegun(bytes) };
  }

  /** One call of the control plane: there, done, and back. */
  #ask<T>(options: JsonCallOptions, work: () => T | Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const { signal, timeoutMs } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    let isOpen = true;
    let forget: () => void = () => undefined;
    const end = (act: () => void) => {
      if (!isOpen) return;
      isOpen = false;
      cancelTimeout();
      signal?.removeEventListener("abort", onAbort);
      forget();
      act();
    };
    const onAbort = () => end(() => reject(signal?.reason));
    const giveUp = () => {
      this.#noteDisturbance();
      reject(new CortexError("timeout", `No answer in ${timeoutMs} ms`));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    const cancelTimeout = this.#world.clock.after(timeoutMs, () => end(giveUp));
    const back = (act: () => void) => this.travel(() => end(act));
    this.connect({
      onRefused: (error) => end(() => reject(error)),
      onConnected: () => {
        if (!isOpen) return;
        const lost = (why: string) => {
          this.#noteDisturbance();
          end(() => reject(new CortexError("neuron_failed", `Connection lost: ${why}`)));
        };
        forget = this.watch({ break: lost });
        this.neuron.do(() => {
          // What arrived is done, whether or not anybody waits for it still.
          doWork(work).then(
            (value) => back(() => resolve(value)),
            (error) => back(() => reject(error)),
          );
        });
      },
    });
    return promise;
  }

  #follow(sink: EventSink, lastEventId: string | undefined): UpstreamCall {
    let isOpen = true;
    let forget: () => void = () => undefined;
    let unsubscribe: () => void = () => undefined;
    const lane = { arrivesMs: 0 };
    const end = (error: CortexError | undefined) => {
      if (!isOpen) return;
      isOpen = false;
      forget();
      unsubscribe();
      if (error !== undefined) sink.onEnd(error);
    };
    this.connect({
      onRefused: (error) => end(error),
      onConnected: () => {
        if (!isOpen) return;
        const lost = (why: string) => end(new CortexError("neuron_failed", `Events: ${why}`));
        forget = this.watch({ break: lost });
        this.neuron.do(() => {
          if (!isOpen) return;
          unsubscribe = this.neuron.subscribe((event, id) => {
            if (this.losesEvents && event.type !== "heartbeat") return;
            this.travel(() => {
              if (isOpen) sink.onEvent(event, id);
            }, lane);
          }, lastEventId);
        });
      },
    });
    return {
      abort: () => end(undefined),
      pause: () => undefined,
      resume: () => undefined,
    };
  }
}

async function doWork<T>(work: () => T | Promise<T>): Promise<T> {
  return await work();
}

function connectError(neuron: string, cause: string): CortexError {
  return new CortexError("unavailable", `Cannot connect to ${neuron}: ${cause}`, {
    figures: { cause },
  });
}
