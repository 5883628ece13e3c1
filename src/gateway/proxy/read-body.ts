import { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";

const DECODER = new TextDecoder("utf-8", { fatal: true });

/** A client's body as an object; what no decoder or parser takes is `invalid_request`. */
export function readBody(bytes: Uint8Array): JsonObject {
  let body: unknown;
  try {
    body = JSON.parse(DECODER.decode(bytes));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) {
      throw new CortexError("invalid_request", "Body is not valid UTF-8", { cause });
    }
    throw new CortexError("invalid_request", `Body is not valid JSON: ${cause.message}`, { cause });
  }
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as JsonObject;
  throw new CortexError("invalid_request", "Body must be a JSON object");
}
