import { join } from "node:path";
import { checkPort, isSameSocket } from "./addresses.ts";
import { type ConfigIssue, checkConfig } from "./check-config.ts";
import { checkTelemetry, locateTelemetry } from "./check-telemetry.ts";
import { CONFIG_FOLDER, type LoadConfigOptions, readConfigFile } from "./config-file.ts";
import type { Environment } from "./environment.ts";
import { type GatewayConfig, GatewayConfigSchema, type NeuronConfig } from "./gateway-schema.ts";
import { checkSecret, locateSecretFile } from "./secret.ts";
import type { TomlDocument } from "./toml-document.ts";

export interface LoadedGatewayConfig {
  readonly config: GatewayConfig;
  /** The file that was read; undefined when the defaults serve. */
  readonly file: string | undefined;
  /** Knows where each value comes from. */
  readonly document: TomlDocument;
}

/**
 * Reads `file`, else /etc/cortex/cortex.toml where it exists, else takes the defaults; variables win over the file.
 * Paths of secrets come back absolute. Throws `invalid_config` with every error at once. The result is frozen.
 */
export async function loadGatewayConfig(
  options: LoadConfigOptions = {},
): Promise<LoadedGatewayConfig> {
  const env = options.env ?? process.env;
  const { document, file } = await readConfigFile({
    file: options.file,
    fallbackFile: join(options.folder ?? CONFIG_FOLDER, "cortex.toml"),
    overrides: options.overrides ?? [],
    environment: { schema: GatewayConfigSchema, env },
  });
  const withSecrets = options.withSecrets !== false;
  const config = checkConfig(GatewayConfigSchema, document, {
    gateway: checkListeners,
    neurons: (neurons) => [
      ...checkNeuronsDiffer(neurons),
      ...checkKeysOfKind(neurons),
      ...checkModelsDiffer(neurons),
      ...(withSecrets ? checkSecrets(neurons, { env, configFile: file }) : []),
    ],
    telemetry: (telemetry) => checkTelemetry(telemetry, { env, configFile: file, withSecrets }),
  });
  if (!withSecrets) return { config, file, document };
  const place = { env, configFile: file };
  const neurons = freezeList(config.neurons.map((neuron) => locateSecrets(neuron, place)));
  const telemetry = locateTelemetry(config.telemetry, place);
  return { config: Object.freeze({ ...config, neurons, telemetry }), file, document };
}

interface SecretPlace {
  readonly env: Environment;
  readonly configFile: string | undefined;
}

function checkSecrets(
  neurons: readonly NeuronConfig[],
  place: SecretPlace,
): readonly ConfigIssue[] {
  return neurons.flatMap(({ token_env, token_file, api_key_env, api_key_file }, index) => {
    const table = ["neurons", index];
    const token = { name: "token", variable: token_env, file: token_file } as const;
    const key = { name: "api_key", variable: api_key_env, file: api_key_file } as const;
    return [
      ...checkSecret(table, { ...token, ...place }),
      ...checkSecret(table, { ...key, ...place }),
    ];
  });
}

function locateSecrets(neuron: NeuronConfig, place: SecretPlace): NeuronConfig {
  const { token_file, api_key_file } = neuron;
  return Object.freeze({
    ...neuron,
    ...(token_file === undefined ? {} : { token_file: locateSecretFile(token_file, place) }),
    ...(api_key_file === undefined ? {} : { api_key_file: locateSecretFile(api_key_file, place) }),
  });
}

/** The schema's type has lists that can be written to; nobody does. */
function freezeList<T>(items: T[]): T[] {
  Object.freeze(items);
  return items;
}

function checkListeners(gateway: GatewayConfig["gateway"]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [
    ...checkPort(["gateway", "listen"], gateway.listen),
    ...checkPort(["gateway", "metrics_listen"], gateway.metrics_listen),
  ];
  if (isSameSocket(gateway.listen, gateway.metrics_listen)) {
    const message = `is ${JSON.stringify(gateway.metrics_listen)}, which gateway.listen takes already`;
    issues.push({ path: ["gateway", "metrics_listen"], at: "value", message });
  }
  return issues;
}

/** One neuron listed twice would be counted, loaded and evicted twice. */
function checkNeuronsDiffer(neurons: GatewayConfig["neurons"]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const names = new Map<string, number>();
  const endpoints = new Map<string, string>();
  for (const [index, { name, endpoint, kind }] of neurons.entries()) {
    const namesake = names.get(name);
    if (namesake !== undefined) {
      const message = `is ${JSON.stringify(name)}, which neurons[${namesake}] is called already`;
      issues.push({ path: ["neurons", index, "name"], at: "value", message });
    }
    names.set(name, namesake ?? index);
    // An API may well be listed twice, with two keys.
    if (kind !== "neuron") continue;
    const address = endpoint.toLowerCase().replace(/\/$/, "");
    const owner = endpoints.get(address);
    if (owner !== undefined) {
      const message = `is ${JSON.stringify(endpoint)}, where the neuron ${owner} is already`;
      issues.push({ path: ["neurons", index, "endpoint"], at: "value", message });
    }
    endpoints.set(address, owner ?? name);
  }
  return issues;
}

const NEURON_KEYS = ["token_env", "token_file"] as const;
const API_KEYS = ["api_key_env", "api_key_file", "models", "concurrency_max"] as const;

/** A key that does nothing here was meant for something. */
function checkKeysOfKind(neurons: GatewayConfig["neurons"]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [index, neuron] of neurons.entries()) {
    const { kind, endpoint } = neuron;
    const strangers = kind === "neuron" ? API_KEYS : NEURON_KEYS;
    for (const key of strangers) {
      if (neuron[key] === undefined) continue;
      const own = kind === "neuron" ? '"openai" or "anthropic"' : '"neuron"';
      const message = `is for the kind ${own}, but this one is ${JSON.stringify(kind)}`;
      issues.push({ path: ["neurons", index, key], at: "key", message });
    }
    if (kind === "neuron" && !/^https?:\/\/[^/]+\/?$/.test(endpoint)) {
      const message = `is ${JSON.stringify(endpoint)}, but must be http://host:port or https://host:port without a path`;
      issues.push({ path: ["neurons", index, "endpoint"], at: "value", message });
    }
  }
  return issues;
}

/** Two models of one name would be one of them at random. */
function checkModelsDiffer(neurons: GatewayConfig["neurons"]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [index, { models = [] }] of neurons.entries()) {
    const names = new Set<string>();
    for (const [place, model] of models.entries()) {
      const name = typeof model === "string" ? model : (model.name ?? model.id);
      if (names.has(name)) {
        const message = `is ${JSON.stringify(name)}, which is listed already`;
        issues.push({ path: ["neurons", index, "models", place], at: "value", message });
      }
      names.add(name);
    }
  }
  return issues;
}
