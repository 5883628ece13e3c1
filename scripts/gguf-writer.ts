/** A metadata value; the GGUF type is chosen by the wrapper, because JSON numbers do not say which one is meant. */
export type GgufValue =
  | { readonly u16: number }
  | { readonly u32: number }
  | { readonly i32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] };

/** One tensor; `shape` is in ggml's order, fastest dimension first. */
export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float16Array;
}

// From ggml/include/gguf.h and ggml.h of llama.cpp.
const GGUF_VERSION = 3;
const TYPE = { u16: 2, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const GGML_F32 = 0;
const GGML_F16 = 1;
/** GGUF's default; tensor data and each tensor start at a multiple of it. */
const ALIGNMENT_BYTES = 32;

/** The bytes of a GGUF file of version 3, little endian. */
export function encodeGguf(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): Blob {
  const header = new ByteSink();
  header.bytes(new TextEncoder().encode("GGUF"));
  header.u32(GGUF_VERSION);
  header.u64(tensors.length);
  header.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    header.string(key);
    writeValue(header, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    header.string(tensor.name);
    header.u32(tensor.shape.length);
    for (const size of tensor.shape) header.u64(size);
    header.u32(tensor.data instanceof Float32Array ? GGML_F32 : GGML_F16);
    header.u64(offset);
    offset += padded(tensor.data.byteLength);
  }
  const parts: Uint8Array<ArrayBuffer>[] = [header.take()];
  for (const { data } of tensors) {
    const bytes = new Uint8Array(padded(data.byteLength));
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    parts.push(bytes);
  }
  return new Blob(parts);
}

function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

function writeValue(sink: ByteSink, value: GgufValue): void {
  if ("u16" in value) {
    sink.u32(TYPE.u16);
    sink.bytes(new Uint8Array(new Uint16Array([value.u16]).buffer));
  } else if ("u32" in value) {
    sink.u32(TYPE.u32);
    sink.u32(value.u32);
  } else if ("i32" in value) {
    sink.u32(TYPE.i32);
    sink.bytes(new Uint8Array(new Int32Array([value.i32]).buffer));
  } else if ("f32" in value) {
    sink.u32(TYPE.f32);
    sink.bytes(new Uint8Array(new Float32Array([value.f32]).buffer));
  } else if ("bool" in value) {
    sink.u32(TYPE.bool);
    sink.bytes(new Uint8Array([value.bool ? 1 : 0]));
  } else if ("string" in value) {
    sink.u32(TYPE.string);
    sink.string(value.string);
  } else if ("strings" in value) {
    sink.u32(TYPE.array);
    sink.u32(TYPE.string);
    sink.u64(value.strings.length);
    for (const text of value.strings) sink.string(text);
  } else if ("i32s" in value) {
    sink.u32(TYPE.array);
    sink.u32(TYPE.i32);
    sink.u64(value.i32s.length);
    sink.bytes(new Uint8Array(new Int32Array(value.i32s).buffer));
  } else {
    sink.u32(TYPE.array);
    sink.u32(TYPE.f32);
    sink.u64(value.f32s.length);
    sink.bytes(new Uint8Array(new Float32Array(value.f32s).buffer));
  }
}

class ByteSink {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  bytes(part: Uint8Array): void {
    this.#parts.push(part);
    this.#length += part.length;
  }

  u32(value: number): void {
    this.bytes(new Uint8Array(new Uint32Array([value]).buffer));
  }

  u64(value: number): void {
    this.bytes(new Uint8Array(new BigUint64Array([BigInt(value)]).buffer));
  }

  string(text: string): void {
    const encoded = new TextEncoder().encode(text);
    this.u64(encoded.length);
    this.bytes(encoded);
  }

  /** Everything written, padded to the alignment. */
  take(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(padded(this.#length));
    let offset = 0;
    for (const part of this.#parts) {
      out.set(part, offset);
      offset += part.length;
    }
    return out;
  }
}
