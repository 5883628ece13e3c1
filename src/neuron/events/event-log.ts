import { formatSseEvent } from "../../base/sse.ts";
import type { NeuronEvent } from "../../protocol/events.ts";

/** Minutes of a busy neuron, and more than an hour of an idle one's heartbeats. */
const EVENTS_MAX = 1_024;
/** The same in characters, for events that tell of many models. */
const CHARACTERS_MAX = 1024 * 1024;

/**
 * The last events as they were sent, for readers that are behind or come back. Owner of the events' ids: a name of this
 * run and a number that counts, so that an id of an earlier run is never taken for one of this.
 */
export class EventLog {
  readonly #run = crypto.randomUUID().slice(0, 8);
  readonly #texts: string[] = [];
  #characters = 0;
  #last = 0;

  /** The number of the newest event; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  append(event: NeuronEvent): void {
    this.#last += 1;
    const text = formatSseEvent(event.type, event, this.idOf(this.#last));
    this.#texts.push(text);
    this.#characters += text.length;
    while (this.#texts.length > EVENTS_MAX || this.#characters > CHARACTERS_MAX) {
      this.#characters -= this.#texts.shift()?.length ?? 0;
    }
  }

  idOf(number: number): string {
    return `${this.#run}-${number}`;
  }

  /** The number of an id of this run; undefined for any other text. */
  findNumber(id: string): number | undefined {
    const [run, digits = "", ...more] = id.split("-");
    if (run !== this.#run || more.length > 0 || !/^\d{1,15}$/.test(digits)) return undefined;
    const number = Number(digits);
    return number <= this.#last ? number : undefined;
  }

  /** What came after that number, empty when nothing did; undefined when not all of it is kept. */
  textAfter(number: number): string | undefined {
    const missed = this.#last - number;
    if (missed > this.#texts.length) return undefined;
    return missed === 0 ? "" : this.#texts.slice(-missed).join("");
  }
}
