import type { Log, LogFields } from "../../base/log.ts";
import type { EventView } from "../../protocol/feed.ts";
import type { EventKind } from "../../protocol/log-events.ts";
import { Ring } from "./ring.ts";

/** Lines that are kept: some hours of a quiet fleet, some minutes of one in trouble; about 100 kB. */
export const EVENTS_MAX = 300;
/** A cause may quote a whole stack. */
const TEXT_CHARACTERS_MAX = 400;

/** Told of a line and its number as it is written. */
export type EventListener = (number: number, event: EventView) => void;

/** Owner of the last lines of the gateway's log, for whoever looks at the dashboard or follows them. */
export class EventLog {
  readonly #ring = new Ring<EventView>(EVENTS_MAX);
  readonly #nowMs: () => number;
  readonly #listeners = new Set<EventListener>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** From the oldest to the newest. */
  get events(): ReadonlyMap<string, EventView> {
    return this.#ring.items;
  }

  /** Lines so far; the number of the newest. */
  get count(): number {
    return this.#ring.count;
  }

  /** Tells of every line from now on, until the returned function is called. */
  listen(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The same log, whose lines are remembered here as well, with the fields bound to it, whatever its level. */
  remember(log: Log, bound: LogFields = {}): Log {
    const tell = (level: EventView["level"]) => (text: string, fields?: LogFields) => {
      this.#note(level, text, { ...bound, ...fields });
      log[level](text, fields);
    };
    return {
      debug: (text, fields) => log.debug(text, fields),
      info: tell("info"),
      warn: tell("warn"),
      error: tell("error"),
      frequent: (level, text, fields) => log.frequent(level, text, fields),
      child: (fields) => this.remember(log.child(fields), { ...bound, ...fields }),
    };
  }

  #note(level: EventView["level"], text: string, fields: LogFields): void {
    const kept: Record<string, string | number | boolean> = {};
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined || value === null) continue;
      kept[name] = typeof value === "string" ? value.slice(0, TEXT_CHARACTERS_MAX) : value;
    }
    const at_ms = Math.round(this.#nowMs());
    const kind = kindOf(text, kept);
    const event = { at_ms, level, kind, text: text.slice(0, TEXT_CHARACTERS_MAX), fields: kept };
    this.#ring.add(event);
    for (const listener of [...this.#listeners]) listener(this.#ring.count, event);
  }
}

/** By what a line names, the narrowest first. */
function kindOf(text: string, fields: EventView["fields"]): EventKind {
  if (fields["request"] !== undefined) return "request";
  if (fields["model"] !== undefined) return "model";
  if (fields["neuron"] !== undefined) return "neuron";
  return text.startsWith("Configuration") ? "config" : "gateway";
}
