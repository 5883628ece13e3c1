import type { CortexError } from "../../base/errors.ts";
import type { Rejection } from "../fleet/candidates.ts";
import type { LoadRecord } from "../loads/load-record.ts";
import type { RouteChoice } from "../router/router.ts";
import type { RequestEnd } from "./ended-request.ts";
import type { EndpointName } from "./endpoints.ts";

/** What is known of a request when it begins; nothing of what is said is in it. Times are of the monotonic clock. */
export interface TracedRequest {
  readonly requestId: string;
  readonly endpoint: EndpointName | undefined;
  /** As the fleet calls it; undefined for a request that named none of its models. */
  readonly model: string | undefined;
  readonly stream: boolean;
  /** Which program asks, as it calls itself. */
  readonly client: string;
  readonly startMs: number;
}

/** Why an attempt or a request failed. */
export interface TracedFailure {
  readonly code: string;
  /** Left out where it may quote the client. */
  readonly message: string | undefined;
}

/** One choice among the neurons and what came of it. */
export interface TracedAttempt {
  readonly atMs: number;
  readonly choice: RouteChoice;
  /** Who has the model and was no candidate; looked up only where the model was not ready anywhere. */
  readonly rejected: readonly Rejection[] | undefined;
  load: LoadRecord | undefined;
  /** Whether that load had begun for others. */
  hasJoined: boolean;
  /** When the wait for the load was over; 0 without one. */
  readyMs: number;
  /** 0 when nothing was sent. */
  sentMs: number;
  failure: TracedFailure | undefined;
}

/** More attempts than this are made only where an answer breaks off again and again. */
const ATTEMPTS_KEPT_MAX = 16;
const MESSAGE_CHARACTERS_MAX = 400;
/** Their messages may quote what the client sent. */
const QUOTING: ReadonlySet<string> = new Set([
  "invalid_request",
  "model_not_found",
  "context_length_exceeded",
  "unsupported",
]);

/**
 * What was decided about one request, kept as it was decided: references, of which text is made only when somebody
 * asks. Written by the request itself, from its first choice to its end.
 */
export class RequestRecord {
  readonly request: TracedRequest;
  readonly attempts: TracedAttempt[] = [];
  /** Who has the model and would not take it, where nobody did. */
  rejected: readonly Rejection[] | undefined;
  failure: TracedFailure | undefined;
  /** Undefined while it runs. */
  end: RequestEnd | undefined;

  constructor(request: TracedRequest) {
    this.request = request;
  }

  /** The attempt under way. */
  get last(): TracedAttempt | undefined {
    return this.attempts.at(-1);
  }

  noteChoice(choice: RouteChoice, atMs: number, rejected?: readonly Rejection[]): void {
    if (this.attempts.length >= ATTEMPTS_KEPT_MAX) return;
    this.attempts.push({
      atMs,
      choice,
      rejected,
      load: undefined,
      hasJoined: false,
      readyMs: 0,
      sentMs: 0,
      failure: undefined,
    });
  }

  /** The attempt under way came to nothing. */
  noteAttemptFailed(error: CortexError): void {
    const { last } = this;
    if (last !== undefined) last.failure ??= describeFailure(error);
  }

  noteFailed(error: CortexError): void {
    this.failure = describeFailure(error);
  }
}

function describeFailure({ code, message }: CortexError): TracedFailure {
  const text = QUOTING.has(code) ? undefined : message.slice(0, MESSAGE_CHARACTERS_MAX);
  return { code, message: text };
}
