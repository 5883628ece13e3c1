import { CortexError } from "../../base/errors.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true });

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
    return decode(await withDeadline(request.bytes()));
  }
  return decode(await withDeadline(readChunked(request, bytesMax)));
}

/** JSON is UTF-8; putting U+FFFD in place of what is not would change what the client said without a word. */
function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    throw new CortexError("invalid_request", "Body is not valid UTF-8", { cause: error });
  }
}

async function readChunked(request: Request, bytesMax: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of request.body as ReadableStream<Uint8Array>) {
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLarge(`more than ${bytesMax}`, bytesMax);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

async function withDeadline<T>(body: Promise<T>): Promise<T> {
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
