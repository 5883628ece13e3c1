import { CortexError } from "../base/errors.ts";
import type { Environment } from "../config/environment.ts";
import { type HeaderEntry, parseHeaderList } from "../config/header-list.ts";
import { HEADER_TEXT, readSecret } from "../config/secret.ts";
import type { TelemetryConfig } from "../config/telemetry-schema.ts";
import { type Sampler, sampleAsCaller, sampleRatio } from "./sampler.ts";

/** Where traces go, which, and under what name. */
export interface TelemetrySettings {
  readonly url: string;
  readonly headers: readonly HeaderEntry[];
  readonly sampler: Sampler;
  readonly serviceName: string;
  /** What was said and is not done, for the log. */
  readonly warnings: readonly string[];
}

/** Where OTLP over HTTP has traces, behind a base address. */
const TRACES_PATH = "/v1/traces";

/**
 * The settings; undefined where no traces are wanted. 1. OTEL_SDK_DISABLED=true, and OTEL_TRACES_EXPORTER=none, turn
 * them off. 2. Each key of the configuration wins over its variable. 3. A variable for traces wins over one for all
 * signals. 4. Without an endpoint there are none. Throws `invalid_config` for what cannot be used.
 */
export function readTelemetrySettings(
  config: TelemetryConfig,
  options: { readonly env: Environment; readonly defaultName: string },
): TelemetrySettings | undefined {
  const { env, defaultName } = options;
  // 1.
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined;
  if (env["OTEL_TRACES_EXPORTER"] === "none") return undefined;
  const url = readUrl(config, env);
  // 4.
  if (url === undefined) return undefined;
  const warnings: string[] = [];
  const protocol =
    env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] || env["OTEL_EXPORTER_OTLP_PROTOCOL"] || "http/json";
  if (protocol !== "http/json") {
    warnings.push(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}: traces go out as http/json`);
  }
  return {
    url,
    headers: readHeaders(config, { env, warnings }),
    sampler: readSampler(config, { env, warnings }),
    serviceName: config.service_name ?? (env["OTEL_SERVICE_NAME"] || defaultName),
    warnings,
  };
}

/** 2. and 3. of the address. */
function readUrl({ endpoint }: TelemetryConfig, env: Environment): string | undefined {
  if (endpoint !== undefined) return addPath(endpoint);
  const [exact, base] = [
    env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
    env["OTEL_EXPORTER_OTLP_ENDPOINT"],
  ];
  const name = exact ? "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" : "OTEL_EXPORTER_OTLP_ENDPOINT";
  const given = exact || base;
  if (!given) return undefined;
  if (!/^https?:\/\//.test(given) || !URL.canParse(given)) {
    const text = `${name} is ${JSON.stringify(given)}, must be http://host:port or https://host:port`;
    throw new CortexError("invalid_config", text);
  }
  return exact ? given : `${given.replace(/\/+$/, "")}${TRACES_PATH}`;
}

function addPath(endpoint: string): string {
  const base = endpoint.replace(/\/+$/, "");
  return base.endsWith(TRACES_PATH) ? base : base + TRACES_PATH;
}

/** 2. and 3. of the headers. */
function readHeaders(
  config: TelemetryConfig,
  { env, warnings }: { readonly env: Environment; readonly warnings: string[] },
): readonly HeaderEntry[] {
  const { headers, headers_env: variable, headers_file: file } = config;
  if (headers !== undefined) return parseHeaderList(headers);
  if (variable !== undefined || file !== undefined) {
    const secret = readSecret({ variable, file, allowed: HEADER_TEXT }, env);
    if (secret?.warning !== undefined) warnings.push(secret.warning);
    if (secret !== undefined) return parseHeaderList(secret.value);
    const text = `telemetry.headers_env names ${variable}, but that variable is not set`;
    throw new CortexError("invalid_config", text);
  }
  const name = env["OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
    ? "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
    : "OTEL_EXPORTER_OTLP_HEADERS";
  try {
    return parseHeaderList(env[name] ?? "");
  } catch (cause) {
    throw new CortexError("invalid_config", `${name} cannot be used`, { cause });
  }
}

/** 2. of what is traced. */
function readSampler(
  { sample_ratio: ratio }: TelemetryConfig,
  { env, warnings }: { readonly env: Environment; readonly warnings: string[] },
): Sampler {
  if (ratio !== undefined) return sampleAsCaller(sampleRatio(ratio));
  const name = env["OTEL_TRACES_SAMPLER"] || "parentbased_always_on";
  const root = { always_on: 1, always_off: 0, traceidratio: readRatio(env, warnings) };
  const kind = name.replace(/^parentbased_/, "");
  if (!Object.hasOwn(root, kind)) {
    warnings.push(
      `OTEL_TRACES_SAMPLER is ${JSON.stringify(name)}, which is not known: all is traced`,
    );
    return sampleAsCaller(sampleRatio(1));
  }
  const sampler = sampleRatio(root[kind as keyof typeof root]);
  return name === kind ? sampler : sampleAsCaller(sampler);
}

function readRatio(env: Environment, warnings: string[]): number {
  const text = env["OTEL_TRACES_SAMPLER_ARG"] ?? "";
  const ratio = text === "" ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  warnings.push(`OTEL_TRACES_SAMPLER_ARG is ${JSON.stringify(text)}, must be 0 to 1: 1 is taken`);
  return 1;
}
