import type { Clock } from "../../base/clock.ts";
import { formatSseEvent } from "../../base/sse.ts";
import { HEARTBEAT_MS, type NeuronEvent } from "../../protocol/events.ts";
import type { Device, Health } from "../../protocol/health.ts";
import type { Model as ModelView } from "../../protocol/models.ts";
import type { Pull } from "../../protocol/pulls.ts";

/** Where the hub reads the present from, at the moment in which it tells of it. */
export interface StateSource {
  health(): Health;
  models(): ModelView[];
  model(id: string): ModelView | undefined;
  pulls(): readonly Pull[];
}

/** Figures of one model are told at most four times a second; a new state at once. */
const COALESCE_MS = 250;
/** Figures of a busy model change without an event of ours. */
const BUSY_REFRESH_MS = 1_000;
/** A subscriber that is further behind gets a fresh snapshot instead. */
const BACKLOG_MAX = 256;
/** Of subscribers: gateways and a few dashboards. */
const SUBSCRIBERS_MAX = 256;

/** One reader of /events. */
export class Subscription {
  #backlog: string[] = [];
  #wake: (() => void) | undefined;
  #closed = false;
  #behind = true;

  constructor(readonly takeSnapshot: () => string) {}

  push(text: string): void {
    if (this.#behind || this.#closed) return;
    if (this.#backlog.length >= BACKLOG_MAX) {
      this.#backlog = [];
      this.#behind = true;
    } else {
      this.#backlog.push(text);
    }
    this.#notify();
  }

  close(): void {
    this.#closed = true;
    this.#notify();
  }

  /** Text to send: a snapshot first and after a gap; undefined at the end. */
  async next(): Promise<string | undefined> {
    while (!this.#closed && !this.#behind && this.#backlog.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#closed) return undefined;
    if (this.#behind) {
      this.#behind = false;
      this.#backlog = [];
      return this.takeSnapshot();
    }
    const text = this.#backlog.join("");
    this.#backlog = [];
    return text;
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** Tells subscribers what changed. Owner of the subscriptions and of what is yet to be told. */
export class EventHub {
  readonly #clock: Clock;
  readonly #source: StateSource;
  readonly #subscriptions = new Set<Subscription>();
  readonly #dirty = new Set<string>();
  readonly #toldDevices = new Map<number, string>();
  readonly #stop = new AbortController();
  #toldHealth = "";
  #ticking = false;

  constructor(options: { readonly clock: Clock; readonly source: StateSource }) {
    this.#clock = options.clock;
    this.#source = options.source;
  }

  /** Undefined when there are too many readers already. */
  subscribe(): Subscription | undefined {
    if (this.#subscriptions.size >= SUBSCRIBERS_MAX) return undefined;
    const subscription = new Subscription(() =>
      format({
        type: "snapshot",
        health: this.#source.health(),
        models: this.#source.models(),
        pulls: [...this.#source.pulls()],
      }),
    );
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

  /** A model's figures changed, or its state if urgent. */
  markModel(id: string, urgent: boolean): void {
    if (this.#subscriptions.size === 0) return;
    this.#dirty.add(id);
    if (urgent) this.#flush();
    else if (!this.#ticking) void this.#tick();
  }

  tellModelGone(id: string): void {
    this.#dirty.delete(id);
    this.#send({ type: "model_gone", id });
  }

  /** A download's state or figures changed; it paces itself. */
  tellPull(pull: Pull): void {
    this.#send({ type: "pull", pull });
  }

  /** Tells of devices whose figures or state changed since they were told last. */
  tellDevices(devices: readonly Device[]): void {
    if (this.#subscriptions.size === 0) return;
    for (const device of devices) {
      const text = JSON.stringify(device);
      if (this.#toldDevices.get(device.index) === text) continue;
      this.#toldDevices.set(device.index, text);
      this.#send({ type: "device", device });
    }
  }

  /** Tells of the daemon's state when it is another than before. */
  tellHealth(health: Health): void {
    if (this.#toldHealth === health.state) return;
    this.#toldHealth = health.state;
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

  /** Flushes now and again after a pause, as long as something changes or a model is busy. */
  async #tick(): Promise<void> {
    this.#ticking = true;
    let busy: string[] = [];
    try {
      while (this.#dirty.size > 0 || busy.length > 0) {
        for (const id of busy) this.#dirty.add(id);
        busy = this.#flush();
        await this.#clock.sleep(COALESCE_MS, this.#stop.signal);
        if (this.#dirty.size === 0 && busy.length > 0) {
          await this.#clock.sleep(BUSY_REFRESH_MS - COALESCE_MS, this.#stop.signal);
        }
      }
    } catch {
      // Only stop() ends a sleep early.
    } finally {
      this.#ticking = false;
    }
  }

  /** Tells of every model that is due and returns those that work on requests. */
  #flush(): string[] {
    const busy: string[] = [];
    for (const id of this.#dirty) {
      const model = this.#source.model(id);
      if (model === undefined) continue;
      this.#send({ type: "model", model });
      if (model.in_flight > 0) busy.push(id);
    }
    this.#dirty.clear();
    return this.#subscriptions.size > 0 ? busy : [];
  }

  #send(event: NeuronEvent): void {
    if (this.#subscriptions.size === 0) return;
    const text = format(event);
    for (const subscription of this.#subscriptions) subscription.push(text);
  }
}

function format(event: NeuronEvent): string {
  return formatSseEvent(event.type, event);
}
