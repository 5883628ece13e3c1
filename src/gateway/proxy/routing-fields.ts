import { CortexError } from "../../base/errors.ts";

/** What routing needs of a request's body. */
export interface RoutingFields {
  readonly model: string;
  readonly stream: boolean;
  /** Estimated: about four bytes of JSON for a token. */
  readonly promptTokens: number;
}

const BYTES_PER_TOKEN = 4;
/** As in the protocol's schemas. */
const MODEL_CHARACTERS_MAX = 256;
const QUOTE = 34;
const BACKSLASH = 92;

/** Reads the routing fields, or throws `invalid_request` in words that name the field. */
export function readRoutingFields(text: string): RoutingFields {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CortexError("invalid_request", `Body is not valid JSON: ${why}`, { cause });
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new CortexError("invalid_request", "Body must be a JSON object");
  }
  const { model, stream } = body as { model?: unknown; stream?: unknown };
  if (model === undefined) {
    throw new CortexError("invalid_request", "Field 'model' is missing", { param: "model" });
  }
  if (typeof model !== "string" || model === "" || model.length > MODEL_CHARACTERS_MAX) {
    throw new CortexError(
      "invalid_request",
      `Field 'model' must be a string of 1 to ${MODEL_CHARACTERS_MAX} characters`,
      { param: "model" },
    );
  }
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    throw new CortexError("invalid_request", "Field 'stream' must be true or false", {
      param: "stream",
    });
  }
  return { model, stream: stream === true, promptTokens: text.length / BYTES_PER_TOKEN };
}

/**
 * The same body with another model name and every other byte as it was: parsing and printing anew would
 * change numbers. `text` has been read by {@link readRoutingFields}, so it is an object with a model.
 */
export function replaceModel(text: string, model: string): string {
  let out = "";
  let copied = 0;
  for (const { from, to } of findTopLevelValues(text, "model")) {
    out += text.slice(copied, from) + JSON.stringify(model);
    copied = to;
  }
  return out + text.slice(copied);
}

/**
 * Where the string values of a key of the outermost object begin and end, quotes included; more
 * than once if repeated.
 */
function findTopLevelValues(text: string, key: string): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  let depth = 0;
  let isKey = false;
  let matched = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = findStringEnd(text, at);
      if (depth === 1) {
        if (isKey) matched = JSON.parse(text.slice(at, end)) === key;
        else if (matched) found.push({ from: at, to: end });
      }
      at = end - 1;
    } else if (code === 123 || code === 91) {
      depth += 1;
      if (depth === 1) isKey = true;
    } else if (code === 125 || code === 93) depth -= 1;
    else if (depth === 1 && code === 58) isKey = false;
    else if (depth === 1 && code === 44) {
      isKey = true;
      matched = false;
    }
  }
  return found;
}

/** The place behind the closing quote of the string that begins at `from`. */
function findStringEnd(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return at + 1;
  }
  return text.length;
}
