import { join } from "node:path";
import { checkPort, isSameSocket } from "./addresses.ts";
import { type ConfigIssue, checkConfig } from "./check-config.ts";
import { CONFIG_FOLDER, type LoadConfigOptions, readConfigFile } from "./config-file.ts";
import { type GatewayConfig, GatewayConfigSchema } from "./gateway-schema.ts";
import { checkTokenVariable } from "./token-variable.ts";

export interface LoadedGatewayConfig {
  readonly config: GatewayConfig;
  /** The file that was read; undefined when the defaults serve. */
  readonly file: string | undefined;
}

/**
 * Reads `file`, else /etc/cortex/cortex.toml where it exists, else takes the defaults. Throws `invalid_config` with
 * every error at once. The result is frozen.
 */
export async function loadGatewayConfig(
  options: LoadConfigOptions = {},
): Promise<LoadedGatewayConfig> {
  const { document, file } = await readConfigFile({
    file: options.file,
    fallbackFile: join(options.folder ?? CONFIG_FOLDER, "cortex.toml"),
    overrides: options.overrides ?? [],
  });
  const env = options.env ?? process.env;
  const config = checkConfig(GatewayConfigSchema, document, [
    checkListeners,
    checkNeuronsDiffer,
    checkKeysOfKind,
    checkModelsDiffer,
    ({ neurons }) =>
      neurons.flatMap(({ token_env, api_key_env }, index) => [
        ...checkTokenVariable(["neurons", index, "token_env"], { name: token_env, env }),
        ...checkTokenVariable(["neurons", index, "api_key_env"], { name: api_key_env, env }),
      ]),
  ]);
  return { config, file };
}

function checkListeners({ gateway }: GatewayConfig): readonly ConfigIssue[] {
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
function checkNeuronsDiffer({ neurons }: GatewayConfig): readonly ConfigIssue[] {
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

const NEURON_KEYS = ["token_env"] as const;
const API_KEYS = ["api_key_env", "models", "concurrency_max"] as const;

/** A key that does nothing here was meant for something. */
function checkKeysOfKind({ neurons }: GatewayConfig): readonly ConfigIssue[] {
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
function checkModelsDiffer({ neurons }: GatewayConfig): readonly ConfigIssue[] {
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
