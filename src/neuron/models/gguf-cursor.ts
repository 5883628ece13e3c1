/** Says that a header is not to be trusted, and why; the message names the value and the limit that it met. */
export class GgufError extends Error {
  override readonly name = "GgufError";
}

/** Thrown when the header goes on behind the bytes that were read; never means that the file is at fault. */
export class MoreBytesNeeded extends Error {
  override readonly name = "MoreBytesNeeded";
}

/** ggml itself refuses longer keys and names. */
const NAME_BYTES_MAX = 65_535;

/** Reads a header's values in order, each checked against the file's length before it is believed. */
export class GgufCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileBytes: number;
  readonly #decoder = new TextDecoder();
  #offset = 0;

  /** `bytes` is the file's beginning; `fileBytes` its whole length. */
  constructor(bytes: Uint8Array, fileBytes: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileBytes = fileBytes;
  }

  /** Bytes read so far, which is the offset of the next value. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of the file that are left. */
  get remaining(): number {
    return this.#fileBytes - this.#offset;
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#advance(4, what), true);
  }

  /** A 64-bit count or size; one above 2^53 can only be a lie. */
  u64(what: string): number {
    const value = this.#view.getBigUint64(this.#advance(8, what), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new GgufError(`${what} is ${value}, more than any file holds`);
    }
    return Number(value);
  }

  /** A count of things that take at least `leastBytes` each, so that it cannot exceed what the file holds. */
  count(what: string, leastBytes: number): number {
    const value = this.u64(what);
    if (value * leastBytes > this.remaining) {
      throw new GgufError(`${what} is ${value}, but only ${this.remaining} bytes are left`);
    }
    return value;
  }

  /** A number of a fixed-size metadata type; booleans as 0 and 1. */
  scalar(valueType: number, what: string): number {
    const read = SCALARS[valueType];
    if (read === undefined) throw new GgufError(`${what} has the unknown type ${valueType}`);
    return read.get(this.#view, this.#advance(read.bytes, what));
  }

  /** A key or tensor name. */
  name(what: string): string {
    const length = this.count(`length of ${what}`, 1);
    if (length > NAME_BYTES_MAX) {
      throw new GgufError(`${what} has ${length} bytes, at most ${NAME_BYTES_MAX} are allowed`);
    }
    return this.#text(length, what);
  }

  string(what: string): string {
    return this.#text(this.count(`length of ${what}`, 1), what);
  }

  /** A tight loop: vocabularies hold hundreds of thousands of strings. */
  skipStrings(count: number, what: string): void {
    let at = this.#offset;
    for (let index = 0; index < count; index += 1) {
      if (at + 8 > this.#bytes.length) {
        this.#offset = at;
        this.#advance(8, what);
      }
      const length = this.#view.getUint32(at, true);
      const high = this.#view.getUint32(at + 4, true);
      at += 8 + length;
      if (high !== 0 || at > this.#fileBytes) {
        throw new GgufError(`String ${index} of ${what} is longer than the file`);
      }
    }
    this.#offset = at;
  }

  skip(bytes: number, what: string): void {
    this.#advance(bytes, what);
  }

  #text(length: number, what: string): string {
    const start = this.#advance(length, what);
    return this.#decoder.decode(this.#bytes.subarray(start, start + length));
  }

  #advance(bytes: number, what: string): number {
    if (bytes > this.remaining) {
      throw new GgufError(
        `File ends within ${what}: ${bytes} bytes wanted, ${this.remaining} left`,
      );
    }
    const start = this.#offset;
    if (start + bytes > this.#bytes.length) throw new MoreBytesNeeded();
    this.#offset = start + bytes;
    return start;
  }
}

interface Scalar {
  readonly bytes: number;
  get(view: DataView, at: number): number;
}

const SCALARS: Readonly<Record<number, Scalar>> = {
  0: { bytes: 1, get: (view, at) => view.getUint8(at) },
  1: { bytes: 1, get: (view, at) => view.getInt8(at) },
  2: { bytes: 2, get: (view, at) => view.getUint16(at, true) },
  3: { bytes: 2, get: (view, at) => view.getInt16(at, true) },
  4: { bytes: 4, get: (view, at) => view.getUint32(at, true) },
  5: { bytes: 4, get: (view, at) => view.getInt32(at, true) },
  6: { bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  7: { bytes: 1, get: (view, at) => view.getUint8(at) },
  10: { bytes: 8, get: (view, at) => Number(view.getBigUint64(at, true)) },
  11: { bytes: 8, get: (view, at) => Number(view.getBigInt64(at, true)) },
  12: { bytes: 8, get: (view, at) => view.getFloat64(at, true) },
};
