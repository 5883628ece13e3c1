import { CortexError } from "../../base/errors.ts";

/** A body must be here within this time, however slowly it trickles. */
const BODY_TIMEOUT_MS = 60_000;

/**
 * The request's body as text.
 * @throws CortexError body_too_large, also for a body that does not announce its length, or timeout
 */
export async function readBody(request: Request, bytesMax: number): Promise<string> {
  const announced = request.headers.get("content-length");
  if (announced !== null) {
    if (Number(announced) > bytesMax) throw tooLarge(announced, bytesMax);
    return await withDeadline(request.text());
  }
  return await withDeadline(readChunked(request, bytesMax));
}

async function readChunked(request: Request, bytesMax: number): Promise<string> {
  if (request.body === null) return "";
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for await (const piece of request.body as ReadableStream<Uint8Array>) {
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLarge(`more than ${bytesMax}`, bytesMax);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

async function withDeadline(body: Promise<string>): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new CortexError("timeout", `Body was not complete within ${BODY_TIMEOUT_MS / 1000} s`),
        ),
      BODY_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([body, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLarge(size: string, bytesMax: number): CortexError {
  return new CortexError(
    "body_too_large",
    `Body has ${size} bytes, at most ${bytesMax} are allowed`,
    { figures: { bytes_max: bytesMax } },
  );
}
