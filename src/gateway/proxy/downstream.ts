/** What a client's stream tells its writer. */
export interface DownstreamEvents {
  /** The client reads slower than we write: no more until onResume. */
  onPause(): void;
  onResume(): void;
  /** The client is gone; nothing that is written arrives any more. */
  onGone(): void;
}

/** Bytes kept before Bun asks for the first; more than a first event, little when it never asks. */
const EARLY_BYTES_MAX = 64 * 1024;

interface DirectController {
  write(bytes: Uint8Array | string): unknown;
  flush(wait: boolean): unknown;
  end(): unknown;
}

/**
 * A streamed body that is written to rather than read from: Bun's `direct` stream, the cheapest there is. A
 * flush that does not complete at once means a full socket; the writer is paused until it does, which keeps
 * memory bounded.
 */
export class Downstream {
  readonly #events: DownstreamEvents;
  readonly #finished = Promise.withResolvers<void>();
  #early: (Uint8Array | string)[] = [];
  #earlyBytes = 0;
  #controller: DirectController | undefined;
  #state: "open" | "ending" | "closed" = "open";
  #paused = false;

  constructor(events: DownstreamEvents) {
    this.#events = events;
  }

  /** The body of the Response. */
  open(): ReadableStream<Uint8Array> {
    const source = {
      type: "direct",
      pull: (controller: DirectController) => this.#begin(controller),
      cancel: () => this.#gone(),
    };
    // Bun's own kind of stream is unknown to the web's types.
    return new ReadableStream(source as unknown as Bun.DirectUnderlyingSource<Uint8Array>);
  }

  /** Sends bytes now. */
  write(bytes: Uint8Array | string): void {
    if (this.#state !== "open") return;
    const controller = this.#controller;
    if (controller === undefined) {
      this.#early.push(bytes);
      this.#earlyBytes += bytes.length;
      if (this.#earlyBytes > EARLY_BYTES_MAX) this.#pause();
      return;
    }
    controller.write(bytes);
    this.#flush(controller);
  }

  /** Ends the body properly after what was written. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    if (this.#controller !== undefined) this.#close(this.#controller);
  }

  /** Cuts the connection, so that what was written cannot be taken for the whole. */
  break(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#finished.reject(new Error("Answer broke off"));
  }

  /** Forgets the client, who is known to be gone. */
  drop(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#early = [];
    this.#finished.resolve();
  }

  #begin(controller: DirectController): Promise<void> {
    this.#controller = controller;
    for (const bytes of this.#early) controller.write(bytes);
    this.#early = [];
    if (this.#state === "ending") this.#close(controller);
    else if (this.#state === "open") {
      this.#paused = this.#earlyBytes > EARLY_BYTES_MAX;
      this.#flush(controller);
    }
    return this.#finished.promise;
  }

  #flush(controller: DirectController): void {
    const flushed = controller.flush(true);
    if (flushed instanceof Promise && Bun.peek.status(flushed) === "pending") {
      this.#pause();
      flushed.then(
        () => this.#resume(),
        () => this.#gone(),
      );
    } else if (this.#paused) this.#resume();
  }

  #close(controller: DirectController): void {
    this.#state = "closed";
    controller.end();
    this.#finished.resolve();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#events.onPause();
  }

  #resume(): void {
    if (!this.#paused || this.#state === "closed") return;
    this.#paused = false;
    this.#events.onResume();
  }

  #gone(): void {
    if (this.#state === "closed") return;
    this.drop();
    this.#events.onGone();
  }
}
