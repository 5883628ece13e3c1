import { GgufCursor, GgufError, MoreBytesNeeded } from "./gguf-cursor.ts";
import { TENSOR_TYPES, VALUE_BYTES } from "./gguf-types.ts";

/** What a GGUF file says of itself, after every size in it was checked against the file's length. */
export interface GgufHeader {
  readonly fileBytes: number;
  /** Header bytes, up to where the tensors' data begin. */
  readonly headerBytes: number;
  readonly numbers: ReadonlyMap<string, number>;
  readonly strings: ReadonlyMap<string, string>;
  /** Short lists of numbers, such as a value for each layer. */
  readonly lists: ReadonlyMap<string, readonly number[]>;
  /** Sum of all tensors' elements. */
  readonly parameters: number;
  /** Elements by the name of the tensor type. */
  readonly elementsByType: ReadonlyMap<string, number>;
}

/** The first read; most headers with their vocabulary fit. */
const FIRST_READ_BYTES = 4 * 1024 * 1024;
/** The largest header that is read: ten times the largest vocabulary known. */
const HEADER_BYTES_MAX = 256 * 1024 * 1024;
const MAGIC = 0x46554747;
const VALUE_STRING = 8;
const VALUE_ARRAY = 9;
const DIMENSIONS_MAX = 4;
/** No model has more layers; longer lists are vocabularies. */
const LIST_MAX = 1024;
/** A longer string is skipped, not kept; a chat template is far shorter. */
const KEPT_STRING_BYTES_MAX = 4 * 1024 * 1024;
/** Of metadata or tensors; the largest models have some thousands. */
const ENTRIES_MAX = 1_000_000;

/**
 * Reads a file's header with hard bounds.
 * @throws GgufError when the header lies or is damaged; file system errors pass through
 */
export async function readGguf(path: string): Promise<GgufHeader> {
  const file = Bun.file(path);
  const fileBytes = (await file.stat()).size;
  let readBytes = Math.min(FIRST_READ_BYTES, fileBytes);
  for (;;) {
    const bytes = await file.slice(0, readBytes).bytes();
    try {
      return parseGguf(bytes, fileBytes);
    } catch (error) {
      if (!(error instanceof MoreBytesNeeded)) throw error;
      if (readBytes >= HEADER_BYTES_MAX || readBytes >= fileBytes) {
        throw new GgufError(`Header is longer than ${readBytes} bytes`);
      }
      readBytes = Math.min(readBytes * 4, fileBytes, HEADER_BYTES_MAX);
    }
  }
}

/**
 * Parses the beginning of a file of `fileBytes`.
 * @throws GgufError, or MoreBytesNeeded when `bytes` ends within the header
 */
export function parseGguf(bytes: Uint8Array, fileBytes: number): GgufHeader {
  const cursor = new GgufCursor(bytes, fileBytes);
  if (cursor.u32("magic number") !== MAGIC)
    throw new GgufError("Not a GGUF file: wrong magic number");
  const version = cursor.u32("version");
  if (version !== 2 && version !== 3) {
    throw new GgufError(`GGUF version ${version & 0xffff} is not supported, only 2 and 3`);
  }
  const tensorCount = countOf(cursor, "number of tensors", 8 + 4 + 8 + 4 + 8);
  const entryCount = countOf(cursor, "number of metadata entries", 8 + 4 + 1);
  const numbers = new Map<string, number>();
  const strings = new Map<string, string>();
  const lists = new Map<string, readonly number[]>();
  const found = { numbers, strings, lists };
  for (let index = 0; index < entryCount; index += 1) readEntry(cursor, found);
  const alignment = numbers.get("general.alignment") ?? 32;
  if (!Number.isInteger(alignment) || alignment < 8 || (alignment & (alignment - 1)) !== 0) {
    throw new GgufError(`general.alignment is ${alignment}, not a power of two of 8 or more`);
  }
  const tensors = Array.from({ length: tensorCount }, () => readTensor(cursor));
  const headerBytes = Math.ceil(cursor.offset / alignment) * alignment;
  const elementsByType = new Map<string, number>();
  for (const tensor of tensors) {
    checkTensor(tensor, { alignment, dataBytes: fileBytes - headerBytes });
    const elements = elementsByType.get(tensor.type) ?? 0;
    elementsByType.set(tensor.type, elements + tensor.elements);
  }
  const parameters = tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
  return { fileBytes, headerBytes, ...found, parameters, elementsByType };
}

function countOf(cursor: GgufCursor, what: string, leastBytes: number): number {
  const count = cursor.count(what, leastBytes);
  if (count > ENTRIES_MAX) throw new GgufError(`${what} is ${count}, at most ${ENTRIES_MAX}`);
  return count;
}

function readEntry(
  cursor: GgufCursor,
  {
    numbers,
    strings,
    lists,
  }: {
    readonly numbers: Map<string, number>;
    readonly strings: Map<string, string>;
    readonly lists: Map<string, readonly number[]>;
  },
): void {
  const key = cursor.name("metadata key");
  const what = `metadata '${key.slice(0, 100)}'`;
  const valueType = cursor.u32(`type of ${what}`);
  if (valueType === VALUE_ARRAY) {
    const list = readArray(cursor, what);
    if (list !== undefined) lists.set(key, list);
  } else if (valueType !== VALUE_STRING) numbers.set(key, cursor.scalar(valueType, what));
  else {
    const text = cursor.string(what);
    if (text.length <= KEPT_STRING_BYTES_MAX) strings.set(key, text);
  }
}

/** Undefined for what is skipped: strings, and what is too long. */
function readArray(cursor: GgufCursor, what: string): readonly number[] | undefined {
  const elementType = cursor.u32(`element type of ${what}`);
  const bytes = VALUE_BYTES[elementType];
  if (bytes !== undefined) {
    const count = cursor.count(`length of ${what}`, bytes);
    if (count <= LIST_MAX) {
      return Array.from({ length: count }, () => cursor.scalar(elementType, what));
    }
    cursor.skip(count * bytes, what);
    return undefined;
  }
  if (elementType !== VALUE_STRING) {
    throw new GgufError(`${what} is an array of the unknown type ${elementType}`);
  }
  cursor.skipStrings(cursor.count(`length of ${what}`, 8), what);
  return undefined;
}

interface Tensor {
  readonly name: string;
  readonly type: string;
  readonly elements: number;
  /** Undefined for a type that this version does not know: the engine will refuse it. */
  readonly bytes: number | undefined;
  readonly offset: number;
}

function readTensor(cursor: GgufCursor): Tensor {
  const name = cursor.name("tensor name");
  const what = `tensor '${name.slice(0, 100)}'`;
  const dimensions = cursor.u32(`dimensions of ${what}`);
  if (dimensions > DIMENSIONS_MAX) {
    throw new GgufError(`${what} has ${dimensions} dimensions, at most ${DIMENSIONS_MAX}`);
  }
  let elements = 1;
  let rowElements = 1;
  for (let index = 0; index < dimensions; index += 1) {
    const size = cursor.u64(`size of ${what}`);
    if (index === 0) rowElements = size;
    elements *= size;
    if (elements > Number.MAX_SAFE_INTEGER) {
      throw new GgufError(`${what} has more elements than any file holds`);
    }
  }
  const number = cursor.u32(`type of ${what}`);
  const known = TENSOR_TYPES[number];
  if (known !== undefined && rowElements % known.blockElements !== 0) {
    throw new GgufError(
      `${what} has rows of ${rowElements}, not a multiple of ${known.blockElements} as ${known.name} wants`,
    );
  }
  const bytes =
    known === undefined ? undefined : (elements / known.blockElements) * known.blockBytes;
  return {
    name,
    type: known?.name ?? `type ${number}`,
    elements,
    bytes,
    offset: cursor.u64(`offset of ${what}`),
  };
}

function checkTensor(
  tensor: Tensor,
  file: { readonly alignment: number; readonly dataBytes: number },
): void {
  const what = `Tensor '${tensor.name.slice(0, 100)}'`;
  if (tensor.offset % file.alignment !== 0) {
    throw new GgufError(`${what} starts at ${tensor.offset}, no multiple of ${file.alignment}`);
  }
  const end = tensor.offset + (tensor.bytes ?? 0);
  if (end > file.dataBytes) {
    throw new GgufError(
      `${what} ends at byte ${end} of the data, but the file holds ${Math.max(0, file.dataBytes)}`,
    );
  }
}
