import { describeError } from "../base/errors.ts";
import type { ConfigIssue } from "./check-config.ts";
import type { Environment } from "./environment.ts";
import { parseHeaderList } from "./header-list.ts";
import { checkSecret, HEADER_TEXT, locateSecretFile, readSecret } from "./secret.ts";
import type { TelemetryConfig } from "./telemetry-schema.ts";

interface SecretPlace {
  readonly env: Environment;
  readonly configFile: string | undefined;
}

/** What is wrong with `[telemetry]` beyond its schema: headers that are none, and secrets that are not there. */
export function checkTelemetry(
  { endpoint, headers, headers_env, headers_file }: TelemetryConfig,
  options: SecretPlace & { readonly withSecrets: boolean },
): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  if (endpoint !== undefined && !URL.canParse(endpoint)) {
    const message = `is ${JSON.stringify(endpoint)}, which is no address`;
    issues.push({ path: ["telemetry", "endpoint"], at: "value", message });
  }
  if (headers !== undefined) issues.push(...complain("headers", () => parseHeaderList(headers)));
  if (!options.withSecrets) return issues;
  if (headers !== undefined && (headers_env ?? headers_file) !== undefined) {
    const other = headers_env === undefined ? "headers_file" : "headers_env";
    const message = `is beside ${other}; leave one of them out`;
    issues.push({ path: ["telemetry", "headers"], at: "key", message });
  }
  const secret = { name: "headers", variable: headers_env, file: headers_file } as const;
  const missing = checkSecret(["telemetry"], { ...secret, ...options });
  if (missing.length > 0) return [...issues, ...missing];
  const key = headers_env === undefined ? "headers_file" : "headers_env";
  return [...issues, ...complain(key, () => readTelemetryHeaders(secret, options))];
}

function complain(key: string, read: () => unknown): readonly ConfigIssue[] {
  try {
    read();
    return [];
  } catch (thrown) {
    const message = `cannot be used: ${describeError(thrown)}`;
    return [{ path: ["telemetry", key], at: "value", message }];
  }
}

function readTelemetryHeaders(
  { variable, file }: { readonly variable: string | undefined; readonly file: string | undefined },
  place: SecretPlace,
): void {
  const located = file === undefined ? undefined : locateSecretFile(file, place);
  const secret = readSecret({ variable, file: located, allowed: HEADER_TEXT }, place.env);
  if (secret !== undefined) parseHeaderList(secret.value);
}

/** The table with the absolute path of its file. */
export function locateTelemetry(config: TelemetryConfig, place: SecretPlace): TelemetryConfig {
  const { headers_file: file } = config;
  if (file === undefined) return config;
  return Object.freeze({ ...config, headers_file: locateSecretFile(file, place) });
}
