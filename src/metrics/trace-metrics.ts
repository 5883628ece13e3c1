import { Counter, type Registry } from "prom-client";

/** Why spans of traces did not come to their collector. */
const LOSSES = ["queue_full", "refused", "unreachable", "stopped"] as const;

/** What became of a process's spans. */
export class TraceMetrics {
  readonly #exported: Counter;
  readonly #dropped: Counter<"reason">;

  /** `prefix` is that of the role's other metrics. */
  constructor(registry: Registry, prefix: string) {
    this.#exported = new Counter({
      name: `${prefix}_trace_spans_exported_total`,
      help: "Spans of traces that the collector took",
      registers: [registry],
    });
    this.#dropped = new Counter({
      name: `${prefix}_trace_spans_dropped_total`,
      help: "Spans of traces that were lost, by the cause",
      labelNames: ["reason"],
      registers: [registry],
    });
    // Counters that are not there yet would hide their first step from rate().
    for (const reason of LOSSES) this.#dropped.inc({ reason }, 0);
  }

  countExported(spans: number): void {
    this.#exported.inc(spans);
  }

  countDropped(reason: (typeof LOSSES)[number], spans: number): void {
    this.#dropped.inc({ reason }, spans);
  }
}
