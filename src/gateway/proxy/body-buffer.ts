/** Collects an answer that is not handed on piece by piece. */
export class BodyBuffer {
  #pieces: Uint8Array[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#size += bytes.length;
  }

  /** Everything collected, as one run; the buffer is empty afterwards. */
  take(): Uint8Array {
    const pieces = this.#pieces;
    const first = pieces[0];
    this.#pieces = [];
    this.#size = 0;
    return pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces);
  }
}
