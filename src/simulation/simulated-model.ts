import type { HeldBytes } from "../neuron/models/plan.ts";
import type { ModelFigures } from "../protocol/figures.ts";
import type { ModelLease } from "../protocol/leases.ts";
import type { Model, ModelState, PlanRequest } from "../protocol/models.ts";
import type { SimulatedEngine } from "./simulated-engine.ts";
import type { ModelSpec } from "./specs.ts";

/** How a model is loaded: what it can serve at once, and how long each of that may be. */
export interface Shape {
  readonly slots: number;
  readonly context: number;
}

/** One model of a simulated neuron. Changed by the neuron alone. */
export class SimulatedModel {
  readonly spec: ModelSpec;
  state: ModelState = "absent";
  progress = 0;
  cause: string | undefined;
  pinned: boolean;
  /** What it takes of each device that holds it, or on which it is being loaded. */
  held: readonly HeldBytes[] = [];
  /** When its load began, on the monotonic clock. */
  loadingSinceMs = 0;
  /** When it became ready, on the monotonic clock. */
  readyMs = 0;
  lastUsedMs = 0;
  loadSeconds: number | undefined;
  /** There while it is ready or draining. */
  engine: SimulatedEngine | undefined;
  /** What reports are told beside the state changed since they were told last. */
  figuresDue = false;
  /** Loads that ended well. */
  loads = 0;

  /** As it is, or is being, loaded. */
  shape: Shape;

  constructor(spec: ModelSpec) {
    this.spec = spec;
    this.pinned = spec.pinned;
    this.shape = spec;
  }

  /** It is on no device any more. */
  vanish(): void {
    this.state = "absent";
    this.held = [];
    this.engine = undefined;
  }

  /** What a request wants, and of the rest what is by default. */
  shapeFor(request: PlanRequest): Shape {
    const { slots, context } = this.spec;
    return { slots: request.slots ?? slots, context: request.context ?? context };
  }

  /** Device memory that it takes in its shape. */
  get bytes(): number {
    return this.bytesIn(this.shape);
  }

  /** Device memory that it would take in another shape. */
  bytesIn({ slots, context }: Shape): number {
    const { spec } = this;
    return spec.bytes + (spec.contextBytes * slots * context) / (spec.slots * spec.context);
  }

  get id(): string {
    return this.spec.id;
  }

  get inFlight(): number {
    return this.engine?.inFlight ?? 0;
  }

  /** Whether it takes device memory. */
  get isResident(): boolean {
    return this.held.length > 0;
  }

  /** Memory of a device that is its own, or promised to its load. */
  heldOn(device: number): number {
    return this.held.find(({ index }) => index === device)?.bytes ?? 0;
  }

  /** Memory of a device that it really has taken by now. */
  takenOn(device: number): number {
    return this.heldOn(device) * (this.state === "loading" ? this.progress : 1);
  }

  /** What the neuron says of it. */
  view(leases: readonly ModelLease[]): Model {
    const { spec, engine, state, shape, bytes } = this;
    return {
      id: spec.id,
      aliases: [...spec.aliases],
      state,
      devices: this.held.map(({ index }) => index),
      context: shape.context,
      slots: shape.slots,
      bytes: { weights: spec.bytes, context: bytes - spec.bytes, compute: 0 },
      pinned: this.pinned,
      last_used_ms: this.lastUsedMs,
      ...this.#counts(),
      ...(leases.length === 0 ? {} : { leases: [...leases] }),
      ...(state === "loading" ? { progress: this.progress } : {}),
      ...(this.cause === undefined ? {} : { cause: this.cause }),
      ...(this.loadSeconds === undefined ? {} : { load_seconds: this.loadSeconds }),
      ...speedsOf(engine),
      capabilities: ["chat"],
      digest: spec.id,
      file_bytes: spec.bytes,
      architecture: "simulated",
      parameters: 1,
      quantization: "none",
      context_train: spec.context,
    };
  }

  figures(leases: readonly ModelLease[]): ModelFigures {
    return {
      id: this.id,
      leases: [...leases],
      last_used_ms: this.lastUsedMs,
      ...this.#counts(),
      ...speedsOf(this.engine),
    };
  }

  #counts() {
    const { engine } = this;
    return {
      in_flight: this.inFlight,
      queued: engine?.queued ?? 0,
      slots_busy: engine?.busySlots ?? 0,
      prompt_tokens: engine?.promptTokens ?? 0,
      cached_prompt_tokens: engine?.cachedTokens ?? 0,
      completion_tokens: engine?.completionTokens ?? 0,
    };
  }
}

function speedsOf(engine: SimulatedEngine | undefined) {
  const prefill = engine?.prefillTokensPerSecond;
  const decode = engine?.decodeTokensPerSecond;
  return {
    ...(prefill === undefined ? {} : { prefill_tokens_per_second: prefill }),
    ...(decode === undefined ? {} : { decode_tokens_per_second: decode }),
  };
}
