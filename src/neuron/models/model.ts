import type { ModelFigures } from "bun-ffi-cuda-bindings-local/engine";
import { CortexError } from "../../base/errors.ts";
import type { LoadOptions } from "../../base/load-options.ts";
import type { ModelLease } from "../../protocol/leases.ts";
import type { ModelState, Model as ModelView } from "../../protocol/models.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";
import type { CatalogueEntry } from "./catalogue-entry.ts";
import type { Estimate } from "./plan.ts";

/** Which state may follow which; anything else is a bug. */
const TRANSITIONS: Readonly<Record<ModelState, readonly ModelState[]>> = {
  absent: ["loading", "failed"],
  loading: ["ready", "failed", "poisoned", "absent"],
  ready: ["draining", "poisoned", "failed"],
  draining: ["absent", "ready", "poisoned", "failed"],
  failed: ["loading", "absent"],
  poisoned: ["loading", "absent", "draining"],
};

/** What a load asked for, with all that it came to; another load is compared with it. */
export interface ChosenOptions {
  readonly options: LoadOptions;
  readonly use: string;
  readonly draft: string | undefined;
  readonly adapters: readonly { readonly name: string; readonly scale: number }[];
}

/** How a model is, or is being, loaded. */
export interface Placement {
  readonly loop: DeviceLoop;
  readonly context: number;
  readonly slots: number;
  /** What it was planned to take; real compute buffers are often smaller. */
  readonly planned: Estimate;
  readonly chosen: ChosenOptions;
  /** What tells its cache from that of the same model loaded otherwise. */
  readonly options: string;
  /** Most that prompts which no slot holds may take of the host's memory, and which device that is. */
  readonly promptCacheBytes: number;
  readonly hostIndex: number | undefined;
  /** Undefined where they are as they were asked for. */
  readonly gpuLayers: number | undefined;
  /** Who drafts: a model's id or a kind of n-grams. */
  readonly speculation: string | undefined;
  readonly adapters: readonly string[];
}

/** What the engine said of a loaded model. */
export interface Loaded {
  readonly bytes: { readonly weights: number; readonly context: number; readonly compute: number };
  readonly capabilities: readonly string[];
  readonly context: number;
  readonly slots: number;
  readonly devices?: readonly {
    readonly index: number;
    readonly bytes: number;
    readonly weights: number;
    readonly context: number;
    readonly compute: number;
  }[];
  /** By how much less is free than before the load, by the device's own word. */
  readonly taken?: readonly { readonly index: number; readonly bytes: number }[];
}

/** Figures of one ended request, after neuron.h. */
export interface RequestFigures {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly queueMs: number;
  /** Proposed by speculation, and agreed to by the model. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  /** How the text ended; undefined where there is none. */
  readonly finish: "stop" | "length" | undefined;
}

/** The weight of the newest sample in a measured speed. */
const SPEED_WEIGHT = 0.2;
/** Fewer tokens than this say little about speed. */
const SPEED_TOKENS_MIN = 8;

/** One model's life and figures. Changed by the registry and its loader alone. */
export class Model {
  #state: ModelState;
  cause: string | undefined;
  progress: number | undefined;
  placement: Placement | undefined;
  loaded: Loaded | undefined;
  pinned = false;
  /** Requests that were accepted and have not ended: preparing, queued and running. */
  inFlight = 0;
  lastUsedMs = 0;
  /** When it last became ready, on the monotonic clock. */
  readyMs: number | undefined;
  loadSeconds: number | undefined;
  prefillTokensPerSecond: number | undefined;
  decodeTokensPerSecond: number | undefined;
  /** Mean time that a request has a slot, for Retry-After. */
  requestSeconds: number | undefined;
  promptTokens = 0;
  cachedPromptTokens = 0;
  completionTokens = 0;
  draftedTokens = 0;
  acceptedTokens = 0;
  restoredTokens = 0;
  queueSeconds: number | undefined;
  /** Plans by their parameters; they hold as long as the file stays the same. */
  readonly estimates = new Map<string, Estimate>();

  constructor(public entry: CatalogueEntry) {
    this.#state = entry.problem === undefined ? "absent" : "failed";
    this.cause = entry.problem;
  }

  get id(): string {
    return this.entry.id;
  }

  get state(): ModelState {
    return this.#state;
  }

  /** Whether it takes device memory. */
  get isResident(): boolean {
    return this.placement !== undefined;
  }

  /** Moves on to the next state; the cause is kept for failed and poisoned alone. */
  transition(to: ModelState, cause?: string): void {
    if (!TRANSITIONS[this.#state].includes(to)) {
      throw new CortexError(
        "internal",
        `Model '${this.id}' cannot go from ${this.#state} to ${to}`,
      );
    }
    this.#state = to;
    this.cause = to === "failed" || to === "poisoned" ? cause : undefined;
    this.progress = to === "loading" ? 0 : undefined;
    if (to === "absent" || to === "failed" || to === "poisoned") {
      this.placement = undefined;
      this.loaded = undefined;
    }
  }

  /** A new file under the same id; only while nothing of the old one is loaded. */
  replaceEntry(entry: CatalogueEntry): void {
    this.entry = entry;
    this.estimates.clear();
    if (entry.problem !== undefined && this.#state === "absent") {
      this.transition("failed", entry.problem);
    } else if (entry.problem === undefined && this.#state === "failed") {
      this.transition("absent");
    }
  }

  get capabilities(): readonly string[] {
    const known = this.entry.description.capabilities;
    // The files say what the model is for; what the engine made of its projector counts once it is loaded.
    const { loaded } = this;
    if (loaded === undefined) return known;
    const isSense = (name: string) => name === "vision" || name === "audio";
    return [...known.filter((name) => !isSense(name)), ...loaded.capabilities.filter(isSense)];
  }

  /** Counts an ended request's tokens and speeds. */
  count(figures: RequestFigures): void {
    this.promptTokens += figures.promptTokens;
    this.cachedPromptTokens += figures.cachedTokens;
    this.completionTokens += figures.completionTokens;
    this.draftedTokens += figures.draftedTokens;
    this.acceptedTokens += figures.acceptedTokens;
    const queueSeconds = figures.queueMs / 1000;
    const before = this.queueSeconds ?? queueSeconds;
    this.queueSeconds = before + SPEED_WEIGHT * (queueSeconds - before);
    this.prefillTokensPerSecond = blend(
      this.prefillTokensPerSecond,
      figures.promptTokens - figures.cachedTokens,
      figures.prefillMs,
    );
    this.decodeTokensPerSecond = blend(
      this.decodeTokensPerSecond,
      figures.completionTokens,
      figures.decodeMs,
    );
  }

  /**
   * What a neuron says of it; `figures` are the engine's own, `aliases` the unambiguous ones, `leases` those of
   * gateways.
   */
  view(context: {
    readonly aliases: readonly string[];
    readonly figures: ModelFigures | undefined;
    readonly leases: readonly ModelLease[];
    readonly defaults: { readonly context: number; readonly slots: number };
  }): ModelView {
    const { entry, placement, loaded } = this;
    const { description } = entry;
    const { figures } = context;
    const bytes =
      loaded?.bytes ?? placement?.planned.bytes ?? this.estimates.values().next().value?.bytes;
    return {
      id: entry.id,
      aliases: [...context.aliases],
      state: this.#state,
      devices: [...(placement?.loop.devices ?? [])],
      context: loaded?.context ?? placement?.context ?? context.defaults.context,
      slots: loaded?.slots ?? placement?.slots ?? context.defaults.slots,
      pinned: this.pinned,
      in_flight: this.inFlight,
      queued: figures === undefined ? 0 : figures.queued + figures.preparing,
      slots_busy: figures?.slots_busy ?? 0,
      ...(context.leases.length === 0 ? {} : { leases: [...context.leases] }),
      last_used_ms: this.lastUsedMs,
      prompt_tokens: this.promptTokens,
      cached_prompt_tokens: this.cachedPromptTokens,
      completion_tokens: this.completionTokens,
      capabilities: [...this.capabilities],
      digest: entry.digest,
      ...(entry.sameAs === undefined ? {} : { same_as: entry.sameAs }),
      file_bytes: entry.fileBytes,
      architecture: description.architecture,
      parameters: description.parameters,
      quantization: description.quantization,
      context_train: description.contextTrain,
      ...(this.progress === undefined ? {} : { progress: this.progress }),
      ...(this.cause === undefined ? {} : { cause: this.cause }),
      ...(bytes === undefined ? {} : { bytes: { ...bytes } }),
      ...(loaded?.devices === undefined ? {} : { device_bytes: loaded.devices.map(partsOf) }),
      ...optional("gpu_layers", placement?.gpuLayers),
      ...(placement?.speculation === undefined
        ? {}
        : {
            speculation: placement.speculation,
            drafted_tokens: this.draftedTokens,
            accepted_tokens: this.acceptedTokens,
          }),
      ...(placement === undefined || placement.adapters.length === 0
        ? {}
        : { adapters: [...placement.adapters] }),
      ...optional("prompt_cache_bytes", placement?.promptCacheBytes),
      ...optional("restored_tokens", loaded === undefined ? undefined : this.restoredTokens),
      ...optional("queue_seconds", this.queueSeconds),
      ...optional("load_seconds", this.loadSeconds),
      ...optional("prefill_tokens_per_second", this.prefillTokensPerSecond),
      ...optional("decode_tokens_per_second", this.decodeTokensPerSecond),
    };
  }
}

function partsOf(device: NonNullable<Loaded["devices"]>[number]) {
  const { index, weights, context, compute } = device;
  return { index, weights, context, compute };
}

function blend(before: number | undefined, tokens: number, ms: number): number | undefined {
  if (tokens < SPEED_TOKENS_MIN || ms <= 0) return before;
  const now = (tokens * 1000) / ms;
  return before === undefined ? now : before + SPEED_WEIGHT * (now - before);
}

function optional<Key extends string>(
  key: Key,
  value: number | undefined,
): Partial<Record<Key, number>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, number>);
}
