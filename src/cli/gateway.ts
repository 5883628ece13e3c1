import { dirname, join } from "node:path";
import { systemClock } from "../base/clock.ts";
import type { ConfigOverride } from "../config/toml-document.ts";
import { overrideWith } from "./config-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { splitRepeated } from "./frame/strict-args.ts";
import { serveUntilStopped } from "./serve-until-stopped.ts";

/** `cortex gateway`: the reverse proxy and fleet manager. */
export const gatewayCommand = defineCliCommand({
  name: "gateway",
  aliases: ["serve"],
  summary: "Serve the OpenAI and Anthropic APIs in front of the neurons",
  details: [
    "Reads --config, else /etc/cortex/cortex.toml where it exists, else starts with the defaults;\n" +
      "models.toml is looked for beside it. Variables such as CORTEX_GATEWAY__LISTEN win over the file, flags over both.",
    "A changed file, or SIGHUP, is taken up without breaking a request: neurons, profiles, [eviction], [limits] and\n" +
      "log_level, and the files with tokens and keys. The log says what needs a restart; a file with an\n" +
      "error changes nothing.",
    "SIGUSR2 starts the program anew, in its present version, and hands it the ports once it serves: no request fails.",
    "SIGINT or SIGTERM lets running requests finish and stops; a second one stops at once.",
  ],
  args: {
    config: { type: "string", valueHint: "FILE", description: "cortex.toml to read" },
    models: { type: "string", valueHint: "FILE", description: "models.toml to read" },
    listen: { type: "string", valueHint: "HOST:PORT", description: "where clients connect" },
    "metrics-listen": {
      type: "string",
      valueHint: "HOST:PORT",
      description: "where Prometheus scrapes",
    },
    neuron: {
      type: "string",
      valueHint: "NAME=URL",
      description: "a neuron, in place of the file's [[neurons]]",
    },
    "log-level": {
      type: "enum",
      options: ["debug", "info", "warn", "error"],
      valueHint: "LEVEL",
      description: "least severity that is logged",
    },
    check: { type: "boolean", description: "check the configuration and start nothing" },
  },
  repeatable: ["neuron"],
  examples: [
    "gateway",
    "gateway --config ./cortex.toml --check",
    "gateway --listen 127.0.0.1:31313 --neuron box=http://10.0.0.5:13131",
  ],
  exits: ["failed", "usage"],
  run: async (args) => {
    const { CONFIG_FOLDER } = await import("../config/config-file.ts");
    const { loadGatewayFiles } = await import("../config/load-gateway-files.ts");
    const overrides = [
      ...overrideWith("--listen", { path: ["gateway", "listen"], text: args.listen }),
      ...overrideWith("--metrics-listen", {
        path: ["gateway", "metrics_listen"],
        text: args["metrics-listen"],
      }),
      ...overrideWith("--log-level", { path: ["gateway", "log_level"], text: args["log-level"] }),
      ...neuronOverride(splitRepeated(args.neuron)),
    ];
    const load = async () => {
      const { config: file, models: modelsFile } = args;
      const loaded = await loadGatewayFiles({ file, models: modelsFile, overrides });
      const { gateway, models, files } = loaded;
      const { config, file: configFile } = gateway;
      const secretFiles = listSecretFiles(config);
      return { config, file: configFile, files, secretFiles, profiles: models.profiles };
    };
    const { ConfigReloader, readStamps } = await import("../lifecycle/config-reloader.ts");
    const { listSecretFiles } = await import("../config/secret.ts");
    const watched = listWatched(args, CONFIG_FOLDER);
    const stamps = await readStamps(watched);
    const first = await load();
    const secretStamps = await readStamps(first.secretFiles);
    const { config, file, profiles } = first;
    if (args.check === true) {
      process.stdout.write(`${file ?? "The built-in defaults"}: no errors\n`);
      return EXIT.ok;
    }
    return serveUntilStopped({
      role: "gateway",
      level: config.gateway.log_level,
      format: config.gateway.log_format,
      checkConfig: load,
      start: async (log) => {
        const { startGateway } = await import("../gateway/start.ts");
        if (config.neurons.length === 0) {
          log.warn("No neurons are configured: every request will be answered with 503");
        }
        const { HandedSockets } = await import("../lifecycle/handed-sockets.ts");
        const handed = HandedSockets.take(process.env);
        const gateway = await startGateway({ config, profiles, log, handed });
        handed.settle();
        const reloader = new ConfigReloader({
          ...{ first, load, log, clock: systemClock, watched, stamps, secretStamps },
          apply: (wanted) => {
            const change = gateway.reload(wanted);
            log.setLevel(wanted.config.gateway.log_level);
            return change;
          },
        });
        void reloader.run();
        return {
          url: gateway.url,
          sockets: gateway.sockets,
          reload: () => reloader.reload("SIGHUP"),
          stop: async (how) => {
            reloader.stop();
            await gateway.stop(how);
          },
        };
      },
    });
  },
});

/** Where the files are, or would be. */
function listWatched(
  args: { readonly config?: string | undefined; readonly models?: string | undefined },
  folder: string,
): string[] {
  const config = args.config ?? join(folder, "cortex.toml");
  return [config, args.models ?? join(dirname(config), "models.toml")];
}

/** `name=url` becomes a neuron of the configuration; what is no such pair is left for the schema to refuse. */
function neuronOverride(pairs: readonly string[]): readonly ConfigOverride[] {
  if (pairs.length === 0) return [];
  const neurons = pairs.map((pair) => {
    const equals = pair.indexOf("=");
    return equals < 0
      ? { name: "", endpoint: pair }
      : { name: pair.slice(0, equals), endpoint: pair.slice(equals + 1) };
  });
  return [{ path: ["neurons"], value: neurons, origin: "--neuron" }];
}
