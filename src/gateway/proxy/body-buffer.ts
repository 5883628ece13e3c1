import { type ByteSpan, joinSpans } from "../../base/byte-span.ts";

/** Collects an answer that is not handed on piece by piece. */
export class BodyBuffer {
  #pieces: ByteSpan[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(bytes: ByteSpan): void {
    this.#pieces.push(bytes);
    this.#size += bytes.length;
  }

  /** Everything collected, as one run; the buffer is empty afterwards. */
  take(): ByteSpan {
    const joined = joinSpans(this.#pieces);
    this.#pieces = [];
    this.#size = 0;
    return joined;
  }
}
