import { type ByteSpan, joinSpans } from "../../base/byte-span.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Origin, UpstreamRequest } from "./connection.ts";
import type { ResponseHead } from "./response-parser.ts";

export interface JsonCallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** The machine's own when left out. */
  readonly clock?: Clock;
}

export interface JsonAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly etag: string | undefined;
  /** Undefined where the status says that there is none. */
  readonly body: unknown;
}

/** A list of a thousand models is under 2 MiB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/**
 * One request of the control plane with a JSON answer of any status, whole. Rejects with `unavailable` when the peer
 * cannot be reached, `timeout`, `neuron_failed` for a broken answer, and with the signal's reason.
 */
export function callJson(
  origin: Origin,
  request: UpstreamRequest,
  options: JsonCallOptions,
): Promise<JsonAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<JsonAnswer>();
  if (options.signal?.aborted) return Promise.reject(options.signal.reason);
  const pieces: ByteSpan[] = [];
  let size = 0;
  let head: ResponseHead | undefined;
  const call = origin.send(request, {
    onHead: (read) => {
      head = read;
    },
    onBody: (bytes) => {
      size += bytes.length;
      pieces.push(bytes);
      if (size <= ANSWER_BYTES_MAX) return;
      call.abort();
      reject(new CortexError("neuron_failed", `Answer longer than ${ANSWER_BYTES_MAX} bytes`));
    },
    onEnd: () => {
      try {
        const { status = 0, retryAfter, etag } = head ?? {};
        const text = status === 304 || status === 204 ? undefined : joinSpans(pieces).toString();
        const body: unknown = text === undefined ? undefined : JSON.parse(text);
        resolve({ status, retryAfter, etag, body });
      } catch (cause) {
        const what = `Answer of ${request.path} with status ${head?.status} is no JSON`;
        reject(new CortexError("neuron_failed", what, { cause }));
      }
    },
    onFailure: reject,
  });
  const { clock = systemClock, timeoutMs } = options;
  const cancelTimer = clock.after(timeoutMs, () => {
    call.abort();
    reject(new CortexError("timeout", `No answer of ${request.path} in ${timeoutMs} ms`));
  });
  const onAbort = () => {
    call.abort();
    reject(options.signal?.reason);
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => {
    cancelTimer();
    options.signal?.removeEventListener("abort", onAbort);
  });
}

/**
 * What a failure says of a peer: nobody listens there; nothing comes from it, so that nothing of what was asked before
 * may come either; or it is there, and does not answer as it should.
 */
export type FailureKind = "refused" | "silent" | "wrong";

/** Which of them an error is, of a call of the control plane or of a connection that was lost. */
export function classifyFailure(error: unknown): FailureKind {
  if (isRefused(error)) return "refused";
  if (!(error instanceof CortexError)) return "wrong";
  // What keeps a connection from being made has a cause beside its text; an answer of status 503 has none.
  const unreachable = error.code === "unavailable" && typeof error.figures?.["cause"] === "string";
  return error.code === "timeout" || unreachable ? "silent" : "wrong";
}

/** Whether the error says that nobody listens at the address, so that trying again at once is vain. */
export function isRefused(error: unknown): boolean {
  return error instanceof CortexError && error.figures?.["cause"] === "ECONNREFUSED";
}
