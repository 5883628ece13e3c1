import type { CortexError } from "../base/errors.ts";
import { PromptCache } from "./prompt-cache.ts";
import { type Ask, countTokens, type ModelSpec, type PromptPiece } from "./specs.ts";

/** How a request at an engine goes on; nothing follows an end, a failure or a cancel. */
export interface EngineEvents {
  onFirstToken(): void;
  /** Half of the answer is there. */
  onMiddle(): void;
  onEnd(figures: { readonly cachedTokens: number }): void;
  onFailure(error: CortexError): void;
}

/** Calls `act` once after delayMs, unless cancelled; stands still while its host does. */
export type Later = (delayMs: number, act: () => void) => () => void;

/** A step of an answer takes longer by this part for each other one beside it. */
const CROWD_PART = 0.08;
/** The weight of the newest sample in a measured speed, as in the neuron. */
const SPEED_WEIGHT = 0.2;

/** Prompts are read one after the other on a device, whichever model they are for. */
export class DeviceQueue {
  readonly #later: Later;
  readonly #waiting: { readonly ms: number; readonly done: () => void }[] = [];
  #cancel: (() => void) | undefined;

  constructor(later: Later) {
    this.#later = later;
  }

  /** Computes for so long when its turn comes, then tells; the returned function withdraws it. */
  add(ms: number, done: () => void): () => void {
    const job = { ms, done };
    this.#waiting.push(job);
    if (this.#waiting.length === 1) this.#begin();
    return () => {
      const at = this.#waiting.indexOf(job);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      if (at > 0) return;
      this.#cancel?.();
      this.#begin();
    };
  }

  #begin(): void {
    const job = this.#waiting[0];
    if (job === undefined) return;
    this.#cancel = this.#later(job.ms, () => {
      this.#waiting.shift();
      job.done();
      this.#begin();
    });
  }
}

interface Running {
  readonly ask: Ask;
  readonly events: EngineEvents;
  cancel: () => void;
  slot: number;
}

/** A loaded model at work: slots, a queue, its prompts' cache. Owner of its requests. */
export class SimulatedEngine {
  readonly #spec: ModelSpec;
  readonly #later: Later;
  readonly #device: DeviceQueue;
  readonly #slowness: () => number;
  readonly #cache: PromptCache;
  readonly #queue: Running[] = [];
  readonly #running = new Set<Running>();
  prefillTokensPerSecond: number | undefined;
  decodeTokensPerSecond: number | undefined;
  promptTokens = 0;
  cachedTokens = 0;
  completionTokens = 0;

  constructor(
    spec: ModelSpec,
    world: {
      readonly later: Later;
      readonly device: DeviceQueue;
      /** By how much everything takes longer than it should. */
      readonly slowness: () => number;
      /** What its slots held before. */
      readonly restored?: readonly (readonly PromptPiece[])[];
    },
  ) {
    this.#spec = spec;
    this.#later = world.later;
    this.#device = world.device;
    this.#slowness = world.slowness;
    this.#cache = new PromptCache(spec.slots, world.restored);
  }

  /** What its slots hold. */
  get heldPrompts(): readonly (readonly PromptPiece[])[] {
    return this.#cache.held;
  }

  get inFlight(): number {
    return this.#queue.length + this.#running.size;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get busySlots(): number {
    return this.#running.size;
  }

  /** Accepts a request; the returned function cancels it, which frees its slot at once. */
  submit(ask: Ask, events: EngineEvents): () => void {
    const request: Running = {
      ask,
      events,
      cancel: () => undefined,
      slot: -1,
    };
    this.#queue.push(request);
    this.#fill();
    return () => {
      this.#withdraw(request);
      this.#fill();
    };
  }

  /** Ends everything with this error. */
  failAll(error: CortexError): void {
    const all = [...this.#running, ...this.#queue];
    for (const request of all) this.#withdraw(request);
    for (const request of all) request.events.onFailure(error);
  }

  #withdraw(request: Running): void {
    const at = this.#queue.indexOf(request);
    if (at >= 0) this.#queue.splice(at, 1);
    if (!this.#running.delete(request)) return;
    request.cancel();
    this.#cache.release(request.slot, request.ask.prompt);
  }

  #fill(): void {
    while (this.#cache.hasFreeSlot) {
      const request = this.#queue.shift();
      if (request === undefined) return;
      this.#start(request);
    }
  }

  #start(request: Running): void {
    const { prompt } = request.ask;
    const { slot, cachedTokens } = this.#cache.take(prompt);
    request.slot = slot;
    this.#running.add(request);
    const tokens = countTokens(prompt);
    const ms =
      ((tokens - cachedTokens) / this.#spec.prefillTokensPerSecond) * 1_000 * this.#slowness();
    request.cancel = this.#device.add(ms, () => {
      this.promptTokens += tokens;
      this.cachedTokens += cachedTokens;
      const speed = ((tokens - cachedTokens) * 1_000) / Math.max(1e-3, ms);
      this.prefillTokensPerSecond = blend(this.prefillTokensPerSecond, speed);
      this.#decode(request, cachedTokens);
    });
  }

  #decode(request: Running, cachedTokens: number): void {
    const { ask, events } = request;
    const crowd = 1 + CROWD_PART * (this.#running.size - 1);
    const speed = this.#spec.decodeTokensPerSecond / crowd / this.#slowness();
    const halfMs = (ask.answer.tokens / speed) * 500;
    events.onFirstToken();
    if (!this.#running.has(request)) return;
    request.cancel = this.#later(halfMs, () => {
      events.onMiddle();
      if (!this.#running.has(request)) return;
      request.cancel = this.#later(halfMs, () => {
        this.#running.delete(request);
        this.#cache.release(request.slot, [...ask.prompt, ask.answer]);
        this.completionTokens += ask.answer.tokens;
        this.decodeTokensPerSecond = blend(this.decodeTokensPerSecond, speed);
        events.onEnd({ cachedTokens });
        this.#fill();
      });
    });
  }
}

function blend(before: number | undefined, now: number): number {
  return before === undefined ? now : before + SPEED_WEIGHT * (now - before);
}
