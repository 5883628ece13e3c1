import { formatSseComment } from "../../base/sse.ts";
import type { EventLog } from "./event-log.ts";

/** One reader of /events: a place in the log, or none, which calls for a snapshot. */
export class Subscription {
  readonly #log: EventLog;
  readonly #takeSnapshot: () => string;
  #place: number | undefined;
  #greeting: string;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(options: {
    readonly log: EventLog;
    /** The state of now as an event that is named after the newest one. */
    readonly takeSnapshot: () => string;
    /** The id of the last event that the reader has seen. */
    readonly lastEventId: string | undefined;
  }) {
    this.#log = options.log;
    this.#takeSnapshot = options.takeSnapshot;
    const { lastEventId } = options;
    const place = lastEventId === undefined ? undefined : options.log.findNumber(lastEventId);
    const isKept = place !== undefined && options.log.textAfter(place) !== undefined;
    this.#place = isKept ? place : undefined;
    // A reader that missed nothing learns at once that the stream is open.
    this.#greeting = this.#place === undefined ? "" : formatSseComment("resumed");
  }

  /** There is something new in the log. */
  notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  close(): void {
    this.#closed = true;
    this.notify();
  }

  /** Text to send: what is new, or a snapshot first and after a gap; undefined at the end. */
  async next(): Promise<string | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const text = this.#greeting + this.#read();
      this.#greeting = "";
      if (text !== "") return text;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #read(): string {
    const text = this.#place === undefined ? undefined : this.#log.textAfter(this.#place);
    this.#place = this.#log.last;
    return text ?? this.#takeSnapshot();
  }
}
