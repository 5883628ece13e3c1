import { type Static, Type as t } from "@sinclair/typebox";

/** `[telemetry]` of cortex.toml and neuron.toml. What is absent is taken from the standard variables OTEL_…. */
export const TelemetrySchema = t.Object(
  {
    endpoint: t.Optional(
      t.String({
        description: "Collector that gets traces, in OTLP over HTTP; none are made when absent",
        expects: "http://host:port or https://host:port, if need be with a path",
        pattern: "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$",
        maxLength: 2048,
      }),
    ),
    headers: t.Optional(
      t.String({
        description: "Header lines for the collector, name=value with commas between",
        maxLength: 8192,
      }),
    ),
    headers_env: t.Optional(
      t.String({ description: "Environment variable that holds such header lines" }),
    ),
    headers_file: t.Optional(
      t.String({
        description: "File with such header lines, or credential:NAME of systemd",
        minLength: 1,
        maxLength: 4096,
      }),
    ),
    sample_ratio: t.Optional(
      t.Number({
        description: "Part of the requests that is traced, where the caller has not decided",
        minimum: 0,
        maximum: 1,
      }),
    ),
    service_name: t.Optional(
      t.String({
        description: "Name of this service in traces; cortex-gateway or cortex-neuron when absent",
        minLength: 1,
        maxLength: 256,
      }),
    ),
  },
  { additionalProperties: false, default: {} },
);
/** A checked `[telemetry]` table. */
export type TelemetryConfig = Static<typeof TelemetrySchema>;
