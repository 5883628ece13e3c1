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

/** The `error.code` of an error body, or undefined when it is not one. */
export function readErrorCode(bytes: Uint8Array): string | undefined {
  try {
    const body = JSON.parse(Buffer.from(bytes).toString("utf8")) as {
      error?: { code?: unknown };
    } | null;
    const code = body?.error?.code;
    return typeof code === "string" ? code : undefined;
  } catch {
    // Not an envelope: a proxy in between or a foreign server. The status alone decides.
    return undefined;
  }
}
