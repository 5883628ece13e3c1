import type { Log, LogFields } from "../../base/log.ts";
import type { EventView } from "../../protocol/feed.ts";
import { Ring } from "./ring.ts";

/** Lines that are kept: some hours of a quiet fleet, some minutes of one in trouble; about 100 kB. */
export const EVENTS_MAX = 300;
/** A cause may quote a whole stack. */
const TEXT_CHARACTERS_MAX = 400;

/** Owner of the last lines of the gateway's log, for whoever looks at the dashboard. */
export class EventLog {
  readonly #ring = new Ring<EventView>(EVENTS_MAX);
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** From the oldest to the newest. */
  get events(): ReadonlyMap<string, EventView> {
    return this.#ring.items;
  }

  /** The same log, whose lines are remembered here as well, whatever level it writes. */
  remember(log: Log): Log {
    const tell = (level: EventView["level"]) => (text: string, fields?: LogFields) => {
      this.#note(level, text, fields);
      log[level](text, fields);
    };
    return {
      debug: (text, fields) => log.debug(text, fields),
      info: tell("info"),
      warn: tell("warn"),
      error: tell("error"),
      frequent: (level, text, fields) => log.frequent(level, text, fields),
      child: (fields) => this.remember(log.child(fields)),
    };
  }

  #note(level: EventView["level"], text: string, fields: LogFields = {}): void {
    const kept: Record<string, string | number | boolean> = {};
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined || value === null) continue;
      kept[name] = typeof value === "string" ? value.slice(0, TEXT_CHARACTERS_MAX) : value;
    }
    const at_ms = Math.round(this.#nowMs());
    this.#ring.add({ at_ms, level, text: text.slice(0, TEXT_CHARACTERS_MAX), fields: kept });
  }
}
