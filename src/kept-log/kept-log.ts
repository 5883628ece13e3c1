import type { Log, LogFields } from "../base/log.ts";
import { Ring } from "../base/ring.ts";
import type { EventView } from "../protocol/feed.ts";
import type { EventKind } from "../protocol/log-events.ts";

/** Lines that are kept: some hours of a quiet fleet, some minutes of one in trouble; about 100 kB. */
export const LINES_MAX = 300;
/** A cause may quote a whole stack. */
const TEXT_CHARACTERS_MAX = 400;

/** Told of a line and its number as it is written. */
export type LineListener = (number: number, line: EventView) => void;

export interface KeptLogOptions {
  /** Whose log it is: what a line is about that names nothing narrower. */
  readonly role: Extract<EventKind, "gateway" | "neuron">;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** Fields that could quote what a client sent: they are in the daemon's own log alone. */
  readonly withheld?: ReadonlySet<string>;
}

/** Owner of the last lines of a role's log, for whoever looks at them or follows them from elsewhere. */
export class KeptLog {
  readonly #ring = new Ring<EventView>(LINES_MAX);
  readonly #options: KeptLogOptions;
  readonly #listeners = new Set<LineListener>();

  constructor(options: KeptLogOptions) {
    this.#options = options;
  }

  /** From the oldest to the newest, by number. */
  get lines(): ReadonlyMap<string, EventView> {
    return this.#ring.items;
  }

  /** Lines so far; the number of the newest. */
  get count(): number {
    return this.#ring.count;
  }

  /** Tells of every line from now on, until the returned function is called. */
  listen(listener: LineListener): () => void {
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
    const { role, nowMs, withheld } = this.#options;
    const kept: Record<string, string | number | boolean> = {};
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined || value === null || withheld?.has(name) === true) continue;
      kept[name] = typeof value === "string" ? value.slice(0, TEXT_CHARACTERS_MAX) : value;
    }
    const at_ms = Math.round(nowMs());
    const kind = findKind(text, kept) ?? role;
    const line = { at_ms, level, kind, text: text.slice(0, TEXT_CHARACTERS_MAX), fields: kept };
    this.#ring.add(line);
    for (const listener of [...this.#listeners]) listener(this.#ring.count, line);
  }
}

/** By what a line names, the narrowest first. */
function findKind(text: string, fields: EventView["fields"]): EventKind | undefined {
  if (fields["request"] !== undefined) return "request";
  if (fields["model"] !== undefined) return "model";
  if (fields["neuron"] !== undefined) return "neuron";
  return text.startsWith("Configuration") ? "config" : undefined;
}
