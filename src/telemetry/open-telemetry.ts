import { hostname } from "node:os";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import type { Environment } from "../config/environment.ts";
import type { TelemetryConfig } from "../config/telemetry-schema.ts";
import { encodeAttributes } from "./encode-span.ts";
import { newSpanId } from "./random-ids.ts";
import { readTelemetrySettings } from "./settings.ts";
import { type SpanCounts, SpanExporter } from "./span-exporter.ts";
import { Tracer } from "./tracer.ts";

/** Traces that are on. */
export interface Telemetry {
  readonly tracer: Tracer;
  /** Sends what is left, for at most some seconds. */
  stop(): Promise<void>;
}

/**
 * Traces as the configuration and the standard variables want them; undefined where they are off, which costs nothing.
 * Throws `invalid_config`.
 */
export function openTelemetry(
  config: TelemetryConfig,
  options: {
    readonly role: "gateway" | "neuron";
    readonly counts: SpanCounts;
    readonly clock: Clock;
    readonly log: Log;
    /** The process's own variables when left out. */
    readonly env?: Environment;
  },
): Telemetry | undefined {
  const { role, counts, clock, log, env = process.env } = options;
  const settings = readTelemetrySettings(config, { env, defaultName: `cortex-${role}` });
  if (settings === undefined) return undefined;
  const { url, headers, sampler, serviceName, warnings } = settings;
  for (const warning of warnings) log.warn("Traces are not all as configured", { cause: warning });
  log.info("Traces are sent", { collector: url, service: serviceName });
  const exporter = new SpanExporter({
    ...{ target: { url, headers }, envelope: formatEnvelope(serviceName), counts, clock, log },
    random: Math.random,
  });
  const tracer = new Tracer({ sampler, clock, sink: exporter });
  return { tracer, stop: () => exporter.stop() };
}

/** Who says all this, once for each request to the collector. */
function formatEnvelope(serviceName: string): readonly [string, string] {
  const resource = encodeAttributes([
    ...["service.name", serviceName, "service.version", VERSION],
    ...["service.instance.id", newSpanId(), "host.name", hostname()],
    ...["process.pid", process.pid],
  ]);
  const before =
    `{"resourceSpans":[{"resource":{"attributes":${resource}},"scopeSpans":[{"scope":` +
    `{"name":"cortex","version":"${VERSION}"},"spans":[`;
  return [before, "]}]}]}"];
}
