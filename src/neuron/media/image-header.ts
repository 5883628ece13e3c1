/** What an image's first and last bytes say. */
export interface ImageHeader {
  readonly type: "image/png" | "image/jpeg" | "image/gif" | "image/bmp";
  readonly width: number;
  readonly height: number;
  /** Whether it ends as its format ends; a truncated image does not. */
  readonly isComplete: boolean;
}

/** Trailing bytes that some writers leave behind an image's end. */
const PADDING_BYTES_MAX = 1_024;
/** Segments of a JPEG before its size; a photo with a profile and a preview has some dozens. */
const SEGMENTS_MAX = 1_000;

/** Reads an image's header, or undefined when it is none of the formats that the engine decodes. */
export function readImageHeader(bytes: Uint8Array): ImageHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return readPng(view);
  if (startsWith(bytes, [0xff, 0xd8, 0xff])) return readJpeg(view);
  if (startsWith(bytes, [0x47, 0x49, 0x46, 0x38])) return readGif(view);
  if (startsWith(bytes, [0x42, 0x4d])) return readBmp(view);
  return undefined;
}

function readPng(view: DataView): ImageHeader {
  const type = "image/png";
  if (view.byteLength < 24) return { type, width: 0, height: 0, isComplete: false };
  // The last chunk: "IEND" and its checksum.
  const isComplete = endsWith(view, [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]);
  return { type, width: view.getUint32(16), height: view.getUint32(20), isComplete };
}

/** Walks the segments up to the frame header, which has the size. */
function readJpeg(view: DataView): ImageHeader {
  const type = "image/jpeg";
  const isComplete = endsWith(view, [0xff, 0xd9]);
  let at = 2;
  for (let segment = 0; segment < SEGMENTS_MAX && at + 9 <= view.byteLength; segment += 1) {
    if (view.getUint8(at) !== 0xff) break;
    const marker = view.getUint8(at + 1);
    const isFrame =
      marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) {
      return { type, height: view.getUint16(at + 5), width: view.getUint16(at + 7), isComplete };
    }
    // A marker may be filled up with further 0xff, which have no length.
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return { type, width: 0, height: 0, isComplete: false };
}

function readGif(view: DataView): ImageHeader {
  const type = "image/gif";
  if (view.byteLength < 10) return { type, width: 0, height: 0, isComplete: false };
  const [width, height] = [view.getUint16(6, true), view.getUint16(8, true)];
  return { type, width, height, isComplete: endsWith(view, [0x3b]) };
}

function readBmp(view: DataView): ImageHeader {
  const type = "image/bmp";
  if (view.byteLength < 26) return { type, width: 0, height: 0, isComplete: false };
  const height = Math.abs(view.getInt32(22, true));
  // Its own length is in its header, but not every writer fills it in.
  const isComplete = view.getUint32(2, true) <= view.byteLength;
  return { type, width: Math.abs(view.getInt32(18, true)), height, isComplete };
}

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((byte, index) => bytes[index] === byte);
}

/** Whether the sequence stands at the end, but for padding. */
function endsWith(view: DataView, end: readonly number[]): boolean {
  const last = view.byteLength - end.length;
  for (let at = last; at >= Math.max(0, last - PADDING_BYTES_MAX); at -= 1) {
    if (end.every((byte, index) => view.getUint8(at + index) === byte)) return true;
  }
  return false;
}
