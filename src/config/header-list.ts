import { CortexError } from "../base/errors.ts";

/** A header of a request to somebody else. */
export type HeaderEntry = readonly [name: string, value: string];

/** More is a mistake: collectors want a key and perhaps a tenant. */
const HEADERS_MAX = 32;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible text with blanks within. */
const VALUE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;
/** These the request has of its own. */
const OWN = new Set(["content-length", "content-type", "host", "connection", "transfer-encoding"]);

/**
 * Reads `name=value` pairs with commas or line ends between, as OTEL_EXPORTER_OTLP_HEADERS has them: what is
 * percent-encoded is decoded. Throws `invalid_config`, without the values, which are secret.
 */
export function parseHeaderList(text: string): readonly HeaderEntry[] {
  const entries = text
    .split(/[,\r\n]+/)
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(parseEntry);
  if (entries.length <= HEADERS_MAX) return entries;
  const message = `has ${entries.length} headers, at most ${HEADERS_MAX} may be given`;
  throw new CortexError("invalid_config", message);
}

function parseEntry(part: string, index: number): HeaderEntry {
  const equals = part.indexOf("=");
  const name = equals < 0 ? "" : part.slice(0, equals).trim();
  const place = `header ${index + 1}`;
  if (!NAME.test(name)) throw new CortexError("invalid_config", `${place} is no name=value`);
  if (OWN.has(name.toLowerCase())) {
    throw new CortexError("invalid_config", `${place}, ${name}, is written by cortex itself`);
  }
  const value = decode(part.slice(equals + 1).trim());
  if (VALUE.test(value)) return [name, value];
  throw new CortexError("invalid_config", `${place}, ${name}, has a value that no header may have`);
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    // A lone percent sign stands for itself.
    return value;
  }
}
