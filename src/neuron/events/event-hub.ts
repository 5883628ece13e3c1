import type { Clock } from "../../base/clock.ts";
import { formatSseEvent } from "../../base/sse.ts";
import { HEARTBEAT_MS, type NeuronEvent } from "../../protocol/events.ts";
import { FIGURES_MS, type ModelFigures } from "../../protocol/figures.ts";
import type { Device, Health } from "../../protocol/health.ts";
import type { Model as ModelView } from "../../protocol/models.ts";
import type { PrefixChange, Prefixes } from "../../protocol/prefixes.ts";
import type { Pull } from "../../protocol/pulls.ts";
import { EventLog } from "./event-log.ts";
import { Subscription } from "./subscription.ts";

/** Where the hub reads the present from, at the moment in which it tells of it. */
export interface StateSource {
  health(): Health;
  models(): ModelView[];
  model(id: string): ModelView | undefined;
  pulls(): readonly Pull[];
  prefixes(): Prefixes[];
  /** What changed since the last call; each change is given once. */
  takePrefixChanges(): PrefixChange[];
}

/** What was told of a model's figures, and when. */
interface Told {
  readonly text: string;
  readonly atMs: number;
}

/** Progress of a load is told at most four times a second; a new state at once. */
const COALESCE_MS = 250;
/** Of subscribers: gateways and a few dashboards. */
const SUBSCRIBERS_MAX = 256;

/**
 * Tells subscribers what changed: a model's state at once, the progress of its load four times a second, figures every
 * {@link FIGURES_MS} at most and only when they are others. Owner of the subscriptions and of what is yet to be told.
 */
export class EventHub {
  readonly #clock: Clock;
  readonly #source: StateSource;
  readonly #log = new EventLog();
  readonly #subscriptions = new Set<Subscription>();
  /** Models to be told of as a whole. */
  readonly #changed = new Set<string>();
  /** Models whose figures may be others than those that were told; busy ones always. */
  readonly #stirring = new Set<string>();
  readonly #toldFigures = new Map<string, Told>();
  readonly #toldDevices = new Map<number, string>();
  readonly #stop = new AbortController();
  #prefixesChanged = false;
  #prefixesToldMs = Number.NEGATIVE_INFINITY;
  #toldHealth = "";
  #ticking = false;
  /** Until somebody reads, nothing is kept; from then on all is, for those who come back. */
  #hasReaders = false;

  constructor(options: { readonly clock: Clock; readonly source: StateSource }) {
    this.#clock = options.clock;
    this.#source = options.source;
  }

  /** Goes on after the event of that id where it can. Undefined when there are too many readers already. */
  subscribe(lastEventId?: string): Subscription | undefined {
    if (this.#subscriptions.size >= SUBSCRIBERS_MAX) return undefined;
    this.#hasReaders = true;
    const takeSnapshot = () => this.#formatSnapshot();
    const subscription = new Subscription({ log: this.#log, takeSnapshot, lastEventId });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  unsubscribe(subscription: Subscription): void {
    subscription.close();
    this.#subscriptions.delete(subscription);
  }

  /** Ends every stream. */
  stop(): void {
    this.#stop.abort();
    for (const subscription of [...this.#subscriptions]) this.unsubscribe(subscription);
  }

  /** A model's state changed, if urgent; else its figures or the progress of its load. */
  markModel(id: string, options: { readonly urgent: boolean; readonly loading: boolean }): void {
    if (!this.#hasReaders) return;
    if (options.urgent || options.loading) this.#changed.add(id);
    this.#stirring.add(id);
    if (options.urgent) this.#tellChanged();
    this.#ensureTicking();
  }

  /** Which beginnings of prompts are cached has changed. */
  markPrefixes(): void {
    if (!this.#hasReaders) return;
    this.#prefixesChanged = true;
    this.#ensureTicking();
  }

  tellModelGone(id: string): void {
    this.#changed.delete(id);
    this.#stirring.delete(id);
    this.#toldFigures.delete(id);
    this.#send({ type: "model_gone", id });
  }

  /** A download's state or figures changed; it paces itself. */
  tellPull(pull: Pull): void {
    this.#send({ type: "pull", pull });
  }

  /** Tells of devices whose figures or state changed since they were told last. */
  tellDevices(devices: readonly Device[]): void {
    if (!this.#hasReaders) return;
    for (const device of devices) {
      const text = JSON.stringify(device);
      if (this.#toldDevices.get(device.index) === text) continue;
      this.#toldDevices.set(device.index, text);
      this.#send({ type: "device", device });
    }
  }

  /** Tells of the daemon's state when it is another than before. */
  tellHealth(health: Health): void {
    const text = `${health.state} ${health.drained}`;
    if (this.#toldHealth === text) return;
    this.#toldHealth = text;
    this.#send({ type: "health", health });
  }

  /** Says every few seconds that silence is not death, until stop(). */
  async beat(): Promise<void> {
    for (;;) {
      try {
        await this.#clock.sleep(HEARTBEAT_MS, this.#stop.signal);
      } catch {
        // Only stop() ends the sleep early.
        return;
      }
      this.#send({ type: "heartbeat" });
    }
  }

  #ensureTicking(): void {
    if (!this.#ticking) void this.#tick();
  }

  /** Tells now and again after a pause, as long as there is something to be told or a model is busy. */
  async #tick(): Promise<void> {
    this.#ticking = true;
    try {
      while (this.#changed.size > 0 || this.#stirring.size > 0 || this.#prefixesChanged) {
        this.#tellChanged();
        this.#tellFigures();
        this.#tellPrefixes();
        await this.#clock.sleep(COALESCE_MS, this.#stop.signal);
      }
    } catch {
      // Only stop() ends a sleep early.
    } finally {
      this.#ticking = false;
    }
  }

  #tellChanged(): void {
    for (const id of this.#changed) {
      const model = this.#source.model(id);
      if (model === undefined) continue;
      const text = JSON.stringify(figuresOf(model));
      this.#toldFigures.set(id, { text, atMs: this.#clock.monotonicMs() });
      this.#send({ type: "model", model });
    }
    this.#changed.clear();
  }

  #tellFigures(): void {
    const atMs = this.#clock.monotonicMs();
    const due: ModelFigures[] = [];
    for (const id of this.#stirring) {
      const told = this.#toldFigures.get(id);
      if (told !== undefined && atMs - told.atMs < FIGURES_MS) continue;
      const model = this.#source.model(id);
      if (model === undefined || model.in_flight === 0) this.#stirring.delete(id);
      if (model === undefined) continue;
      const figures = figuresOf(model);
      const text = JSON.stringify(figures);
      if (text === told?.text) continue;
      this.#toldFigures.set(id, { text, atMs });
      due.push(figures);
    }
    if (due.length > 0) this.#send({ type: "figures", models: due });
  }

  #tellPrefixes(): void {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#prefixesChanged || nowMs - this.#prefixesToldMs < FIGURES_MS) return;
    this.#prefixesChanged = false;
    const changes = this.#source.takePrefixChanges();
    if (changes.length === 0) return;
    this.#prefixesToldMs = nowMs;
    this.#send({ type: "prefixes", changes });
  }

  #formatSnapshot(): string {
    const models = this.#source.models();
    // Whoever has just come wants to know how busy ones go on, though nothing marked them since.
    for (const { id, in_flight } of models) if (in_flight > 0) this.#stirring.add(id);
    this.#ensureTicking();
    const event: NeuronEvent = {
      type: "snapshot",
      health: this.#source.health(),
      models,
      pulls: [...this.#source.pulls()],
      prefixes: this.#source.prefixes(),
    };
    return formatSseEvent(event.type, event, this.#log.idOf(this.#log.last));
  }

  #send(event: NeuronEvent): void {
    if (!this.#hasReaders) return;
    this.#log.append(event);
    for (const subscription of this.#subscriptions) subscription.notify();
  }
}

function figuresOf(model: ModelView): ModelFigures {
  return {
    id: model.id,
    in_flight: model.in_flight,
    queued: model.queued,
    slots_busy: model.slots_busy,
    leases: model.leases ?? [],
    last_used_ms: model.last_used_ms,
    prompt_tokens: model.prompt_tokens,
    cached_prompt_tokens: model.cached_prompt_tokens,
    completion_tokens: model.completion_tokens,
    ...picked(model, "prefill_tokens_per_second"),
    ...picked(model, "decode_tokens_per_second"),
    ...picked(model, "queue_seconds"),
    ...picked(model, "drafted_tokens"),
    ...picked(model, "accepted_tokens"),
  };
}

/** A field where the model has it. */
function picked<Key extends keyof ModelView>(
  model: ModelView,
  key: Key,
): Partial<Pick<ModelView, Key>> {
  if (model[key] === undefined) return {};
  const field: Partial<Pick<ModelView, Key>> = {};
  field[key] = model[key];
  return field;
}
