import type { Span } from "../../telemetry/span.ts";
import type { RouteChoice } from "../router/router.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Usage } from "./usage.ts";

/** A call of an upstream as it begins. */
export interface TracedCall {
  readonly upstream: Upstream;
  readonly path: string;
}

/** How a request ended; see ExchangeOutcome. */
export interface TraceEnd {
  readonly request: { readonly model: string; readonly source: string };
  readonly choice: RouteChoice | undefined;
  readonly status: number;
  readonly outcome: string;
  readonly firstByteMs: number;
  readonly upstreamStatus: number | undefined;
  readonly usage: Usage | undefined;
}

/** Who is told of a request's way. Times are of the monotonic clock. */
export interface RequestTrace {
  /** The header lines that tell the next upstream which span asks it; asked once for each attempt. */
  formatLines(): string;
  onRouted(choice: RouteChoice | undefined): void;
  /** It waits for a load; the span is of the wait. */
  onWaiting(choice: RouteChoice | undefined): Span | undefined;
  onReady(): void;
  onSent(call: TracedCall, sentMs: number): void;
  /** The attempt or the load failed, and another one may follow. `status` is what the upstream answered with. */
  onGivenUp(code: string, status: number | undefined): void;
  onRefused(code: string, status: number): void;
  onEnded(ended: TraceEnd): void;
}
