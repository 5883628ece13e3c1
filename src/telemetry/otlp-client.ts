import { describeError } from "../base/errors.ts";
import type { HeaderEntry } from "../config/header-list.ts";

/** What became of one request to a collector. */
export type PostOutcome =
  | { readonly kind: "taken"; readonly rejected: number; readonly why: string }
  /** It may take the same later; `afterSeconds` is its own wish. */
  | { readonly kind: "later"; readonly afterSeconds: number | undefined; readonly why: string }
  | { readonly kind: "refused"; readonly why: string };

export interface OtlpTarget {
  readonly url: string;
  readonly headers: readonly HeaderEntry[];
}

/** OTLP names these as the only ones after which the same may be sent again. */
const LATER: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** An answer that is longer says nothing that is wanted. */
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Sends one body to a collector. Never rejects. The signal ends it as an answer that did not come. Redirects are not
 * followed: the headers may hold a key.
 */
export async function postSpans(
  target: OtlpTarget,
  body: string,
  signal: AbortSignal,
): Promise<PostOutcome> {
  try {
    const response = await fetch(target.url, {
      method: "POST",
      headers: [...target.headers.map(toPair), ["content-type", "application/json"]],
      body,
      signal,
      redirect: "manual",
    });
    const text = await readStart(response);
    const { status } = response;
    if (status >= 200 && status <= 299) return { kind: "taken", ...readRejected(text) };
    const why = `it answered ${status}`;
    if (!LATER.has(status)) return { kind: "refused", why };
    return { kind: "later", afterSeconds: readRetryAfter(response), why };
  } catch (thrown) {
    return { kind: "later", afterSeconds: undefined, why: describeError(thrown) };
  }
}

function toPair([name, value]: HeaderEntry): [string, string] {
  return [name, value];
}

async function readStart(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.length;
    // Leaving the loop closes the body.
    if (bytes > ANSWER_BYTES_MAX) return "";
    text += decoder.decode(piece, { stream: true });
  }
  return text;
}

/** A collector may take a part: how many spans it did not, and why. */
function readRejected(text: string): { readonly rejected: number; readonly why: string } {
  const none = { rejected: 0, why: "" };
  if (!text.includes("partialSuccess")) return none;
  try {
    const { partialSuccess } = JSON.parse(text) as {
      readonly partialSuccess?: {
        readonly rejectedSpans?: unknown;
        readonly errorMessage?: unknown;
      };
    };
    const rejected = Number(partialSuccess?.rejectedSpans ?? 0);
    const message = partialSuccess?.errorMessage;
    const why = typeof message === "string" ? message.slice(0, 256) : "";
    return Number.isSafeInteger(rejected) && rejected > 0 ? { rejected, why } : none;
  } catch {
    // Whatever it says in other words, its status says that it took them.
    return none;
  }
}

/** Seconds, or a date as HTTP has them. */
function readRetryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after") ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, (atMs - Date.now()) / 1_000);
}
