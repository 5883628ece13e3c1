import type { ByteSpan } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";

const DECODER = new TextDecoder("utf-8", { fatal: true });

/** A client's body as an object; what no decoder or parser takes is `invalid_request`. */
export function readBody(body: ByteSpan): JsonObject {
  let read: unknown;
  try {
    read = JSON.parse(DECODER.decode(body.toBuffer()));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) {
      throw new CortexError("invalid_request", "Body is not valid UTF-8", { cause });
    }
    throw new CortexError("invalid_request", `Body is not valid JSON: ${cause.message}`, { cause });
  }
  if (typeof read === "object" && read !== null && !Array.isArray(read)) return read as JsonObject;
  throw new CortexError("invalid_request", "Body must be a JSON object");
}
