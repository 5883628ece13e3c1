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

const EDGE_BYTES = 2_048;

/** The beginning and the end of a full answer as text: its `usage` stands near one of them. */
export function readEdges(bytes: Uint8Array): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length <= 2 * EDGE_BYTES) return view.toString("latin1");
  const end = view.toString("latin1", view.length - EDGE_BYTES);
  return `${view.toString("latin1", 0, EDGE_BYTES)}\n${end}`;
}
