/**
 * Some of a buffer's bytes, named without making a view of them: the first view of a buffer that came from a socket
 * costs more than copying a small body.
 */
export class ByteSpan {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;

  constructor(bytes: Buffer, from = 0, to = bytes.length) {
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }

  get length(): number {
    return this.to - this.from;
  }

  /** The bytes as a buffer that shares their memory. */
  toBuffer(): Buffer {
    const { bytes, from, to } = this;
    return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
  }

  /** The bytes as UTF-8; what is none becomes U+FFFD. */
  toString(): string {
    return this.bytes.toString("utf8", this.from, this.to);
  }
}

/** What can be written to a socket. */
export type Writable = ByteSpan | Uint8Array | string;

/** The pieces as one run; memory is copied when there are several. */
export function joinSpans(spans: readonly ByteSpan[]): ByteSpan {
  const [first] = spans;
  if (first !== undefined && spans.length === 1) return first;
  return new ByteSpan(Buffer.concat(spans.map((span) => span.toBuffer())));
}
