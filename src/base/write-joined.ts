import { ByteSpan, type Writable } from "./byte-span.ts";

/** Anything that takes bytes at once and says how many. */
export interface ByteSink {
  write(bytes: Uint8Array, byteOffset?: number, byteLength?: number): number;
}

/** Most answers and requests fit; what does not is joined in memory of its own. */
const SCRATCH_BYTES = 64 * 1024;
/**
 * A socket copies what it takes before write() returns, so one buffer serves all writes of the thread. Fresh memory for
 * each would be out of the processor's cache every time: that was a tenth of a request.
 */
const scratch = Buffer.allocUnsafe(SCRATCH_BYTES);

export interface WriteParts {
  readonly head: string;
  readonly body?: Writable | undefined;
  readonly tail?: string;
}

/**
 * Writes head (Latin-1), body and tail (Latin-1) as one run of bytes, so that they leave in one packet where they fit.
 * Returns a copy of what the socket did not take, or undefined when it took everything.
 */
export function writeJoined(socket: ByteSink, parts: WriteParts): Uint8Array | undefined {
  const { head, body = "", tail = "" } = parts;
  const bodyBytes = byteCountOf(body);
  const byteCount = head.length + bodyBytes + tail.length;
  const target = byteCount <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafe(byteCount);
  fill(target, { head, body, tail });
  const written = Math.max(0, socket.write(target, 0, byteCount));
  if (written >= byteCount) return undefined;
  const rest = target.subarray(written, byteCount);
  return target === scratch ? Buffer.from(rest) : rest;
}

/** The same parts as one buffer of their own, for a socket that is not ready for them. */
export function joinParts({ head, body = "", tail = "" }: WriteParts): Buffer {
  const bodyBytes = byteCountOf(body);
  const joined = Buffer.allocUnsafe(head.length + bodyBytes + tail.length);
  fill(joined, { head, body, tail });
  return joined;
}

/** Bytes on the wire: text goes as UTF-8. */
export function byteCountOf(body: Writable): number {
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
}

function fill(
  target: Buffer,
  { head, body, tail }: { head: string; body: Writable; tail: string },
): void {
  let at = target.write(head, 0, "latin1");
  if (typeof body === "string") at += target.write(body, at, "utf8");
  else if (body instanceof ByteSpan) at += body.bytes.copy(target, at, body.from, body.to);
  else {
    target.set(body, at);
    at += body.length;
  }
  if (tail !== "") target.write(tail, at, "latin1");
}
