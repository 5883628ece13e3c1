import { CortexError } from "../../base/errors.ts";

export interface BodyLimits {
  readonly bytesMax: number;
  /** From the head to the last byte, however slowly they come. */
  readonly deadlineMs: number;
}

/**
 * The request's body as text. Throws `body_too_large`, before reading where the length is announced;
 * `timeout` when it does not come in time; `cancelled` when the client leaves. Bun's own limit is out of the
 * way, as its answer is bare.
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<string> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > limits.bytesMax) throw tooLarge(limits);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooLate(limits)), limits.deadlineMs);
  try {
    const reading = announced === null ? readUnannounced(request, limits) : request.text();
    return await Promise.race([reading, late.promise]);
  } catch (thrown) {
    if (thrown instanceof CortexError) throw thrown;
    throw new CortexError("cancelled", "Client left before its request was whole", {
      cause: thrown,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** A chunked body: counted as it comes. */
async function readUnannounced(request: Request, limits: BodyLimits): Promise<string> {
  if (request.body === null) return "";
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limits.bytesMax) {
      await reader.cancel();
      throw tooLarge(limits);
    }
    pieces.push(value);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function tooLarge(limits: BodyLimits): CortexError {
  return new CortexError("body_too_large", `Body is larger than ${limits.bytesMax} bytes`);
}

function tooLate(limits: BodyLimits): CortexError {
  return new CortexError("timeout", `Body did not come whole within ${limits.deadlineMs} ms`);
}
