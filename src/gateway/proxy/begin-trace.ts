import { Span } from "../../telemetry/span.ts";
import { formatTraceLines } from "../../telemetry/trace-context.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import { type CallerLines, findTraceContext } from "./caller-lines.ts";
import type { Endpoint } from "./endpoints.ts";
import { RecordedTrace } from "./recorded-trace.ts";
import type { RequestTrace } from "./request-trace.ts";

const ignore = () => undefined;

/** A request of which nothing is recorded here; what its client said of a trace goes on to the upstreams. */
class UnrecordedTrace implements RequestTrace {
  readonly onRouted = ignore;
  readonly onWaiting = ignore;
  readonly onReady = ignore;
  readonly onSent = ignore;
  readonly onGivenUp = ignore;
  readonly onRefused = ignore;
  readonly onEnded = ignore;
  readonly #lines: string;

  constructor(lines: string) {
    this.#lines = lines;
  }

  formatLines(): string {
    return this.#lines;
  }
}

const NO_TRACE = new UnrecordedTrace("");

/** Takes up the client's trace, or begins one; without a tracer nothing is recorded. */
export function beginTrace(
  tracer: Tracer | undefined,
  asked: {
    readonly caller: CallerLines;
    readonly endpoint: Endpoint;
    /** Of the request. */
    readonly path: string;
    readonly startMs: number;
  },
): RequestTrace {
  const { caller, endpoint, path, startMs } = asked;
  const context = findTraceContext(caller);
  if (tracer === undefined) {
    return context === undefined ? NO_TRACE : new UnrecordedTrace(formatTraceLines(context));
  }
  const start = { name: `POST ${endpoint.route}`, kind: "server", startMs } as const;
  const begun = tracer.begin(start, context);
  if (!(begun instanceof Span)) return new UnrecordedTrace(formatTraceLines(begun));
  begun.set("http.request.method", "POST");
  begun.set("http.route", endpoint.route);
  begun.set("url.path", path);
  begun.set("url.scheme", "http");
  begun.set("cortex.request.id", caller.requestId);
  return new RecordedTrace({ tracer, root: begun, endpoint });
}
