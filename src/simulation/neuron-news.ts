import type { NeuronEvent } from "../protocol/events.ts";

/** Takes events in their order, each with its id. */
export type EventReader = (event: NeuronEvent, id: string) => void;

/** Events that are kept for readers that come back. */
const TOLD_MAX = 64;

/** What a simulated neuron tells. Owner of its readers and of the last events. */
export class NeuronNews {
  readonly #readers = new Set<EventReader>();
  /** Each with the id of the one before it. */
  #told: { readonly id: string; readonly after: string; readonly event: NeuronEvent }[] = [];
  #instance = 0;
  #events = 0;

  /** The daemon has started: nobody reads yet, and what was told before is forgotten. */
  begin(instance: number): void {
    this.#readers.clear();
    this.#told = [];
    this.#instance = instance;
    this.#events = 0;
  }

  /**
   * Reads from now on, until the returned function is called. First comes what the reader missed since `lastId`, or a
   * snapshot where that is not known any more.
   */
  subscribe(
    read: EventReader,
    from: { readonly lastId: string | undefined; readonly snapshot: () => NeuronEvent },
  ): () => void {
    this.#readers.add(read);
    const first = this.#told.findIndex(({ after }) => after === from.lastId);
    if (first >= 0) for (const { id, event } of this.#told.slice(first)) read(event, id);
    else if (from.lastId !== this.#lastId) read(from.snapshot(), this.#lastId);
    return () => this.#readers.delete(read);
  }

  tell(event: NeuronEvent): void {
    const after = this.#lastId;
    this.#events += 1;
    const id = this.#lastId;
    this.#told.push({ id, after, event });
    if (this.#told.length > TOLD_MAX) this.#told.shift();
    for (const read of [...this.#readers]) read(event, id);
  }

  /** Of the last event, or of none in this life. */
  get #lastId(): string {
    return `${this.#instance}-${this.#events}`;
  }
}
