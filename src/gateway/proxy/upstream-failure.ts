import type { ByteSpan } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import type { ClientDialect, UpstreamKind } from "../../translate/dialects.ts";
import { readUpstreamFailure } from "../../translate/errors/upstream-errors.ts";
import type { Upstream } from "../upstream/upstream.ts";

/** A whole answer that is no success. */
export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly bytes: ByteSpan;
}

/** Statuses below 500 that say more of an upstream than of the request. */
const ELSEWHERE: ReadonlySet<number> = new Set([401, 403, 404, 408, 429]);
/** What a neuron says of a model that cannot do what is asked, wherever it is. */
const UNSUPPORTED = 501;

/**
 * Whether another upstream may do what this one would not.
 * 1. It failed: any status from 500 on. But a neuron's 501: the model is the same everywhere.
 * 2. It does not know the gateway (401, 403) or, any more, the model (404), is late (408) or has enough to do (429).
 * 3. Everything else the client did wrong, and it is wrong everywhere.
 */
export function mayGoElsewhere(kind: UpstreamKind, status: number): boolean {
  if (status >= 500) return kind !== "neuron" || status !== UNSUPPORTED;
  return ELSEWHERE.has(status);
}

/** A missing model, a limit or a late client say nothing of the next request. */
export function isUpstreamsFault(status: number): boolean {
  return status >= 500 || isRefusedKey(status);
}

/** Whether it may be the request that made the upstream fail; one that is unavailable has not looked at it. */
export function isSuspicious(status: number): boolean {
  return status >= 500 && status !== 503;
}

/** An upstream's error as one of ours, told in its own words. */
export function readRefusal(upstream: Upstream, refusal: Refusal): CortexError {
  const { status, retryAfter, bytes } = refusal;
  if (isRefusedKey(status)) {
    // The client's own key is not at fault: it must not go looking for another.
    const text = `${upstream.name} refuses the gateway's ${upstream.kind === "neuron" ? "token" : "key"} (${status})`;
    return new CortexError("neuron_failed", text);
  }
  return readUpstreamFailure({ status, body: bytes.toString(), retryAfter });
}

/** Whether an upstream's error may go to the client as it is: it has the shape that its dialect's clients expect. */
export function passesAsIs(
  dialect: ClientDialect,
  options: { readonly kind: UpstreamKind; readonly refusal: Refusal },
): boolean {
  const { kind, refusal } = options;
  if (isRefusedKey(refusal.status)) return false;
  if (kind === "neuron") return true;
  const body = parse(refusal.bytes) as { type?: unknown; error?: { message?: unknown } } | null;
  if (typeof body?.error?.message !== "string") return false;
  return dialect !== "messages" || body.type === "error";
}

/** The error as the last event of a stream, in the upstream's own words, which may be several lines. */
export function formatPassedEvent({ bytes }: Refusal, dialect: ClientDialect): string {
  const text = bytes.toString().replaceAll("\n", "");
  return `${dialect === "messages" ? "event: error\n" : ""}data: ${text}\n\n`;
}

/** The header lines of an error that passes; who may come again is told when. */
export function formatPassedHeaders(refusal: Refusal, contentType: string): string {
  const { status, retryAfter = status === 429 || status === 503 ? "1" : "" } = refusal;
  const wait = retryAfter === "" ? "" : `Retry-After: ${retryAfter}\r\n`;
  return `Content-Type: ${contentType}\r\n${wait}`;
}

function isRefusedKey(status: number): boolean {
  return status === 401 || status === 403;
}

/** A whole answer's JSON object. Throws `neuron_failed` for anything else. */
export function readAnswer(bytes: ByteSpan): JsonObject {
  const body = parse(bytes);
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as JsonObject;
  throw new CortexError("neuron_failed", "the answer is no JSON object");
}

/** Whether the model is gone from there until it is loaded again: evicted meanwhile, or poisoned by a fault. */
export function needsReload(
  code: string | undefined,
): code is "model_not_loaded" | "model_poisoned" {
  return code === "model_not_loaded" || code === "model_poisoned";
}

/** The `error.code` of an error body, or undefined when it is not one. */
export function readErrorCode(bytes: ByteSpan): string | undefined {
  const body = parse(bytes) as { error?: { code?: unknown } | null } | null | undefined;
  const code = body?.error?.code;
  return typeof code === "string" ? code : undefined;
}

function parse(bytes: ByteSpan): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    // A proxy in between or a foreign server: the status alone decides.
    return undefined;
  }
}
