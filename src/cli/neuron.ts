import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";
import { overrideWith } from "./config-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { splitRepeated } from "./frame/strict-args.ts";
import { serveUntilStopped } from "./serve-until-stopped.ts";

/** Lets a test inject faults through the engine's test hook; never set it in production. */
const TEST_FAULTS_VARIABLE = "CORTEX_TEST_FAULTS";

/** `cortex neuron`: the inference daemon of one machine. */
export const neuronCommand = defineCliCommand({
  name: "neuron",
  summary: "Run models on this machine's devices",
  details: [
    "Reads --config, else /etc/cortex/neuron.toml where it exists, else starts with the defaults.\n" +
      "Variables such as CORTEX_NEURON__LISTEN win over the file, flags over both.",
    "A changed file, or SIGHUP, is taken up without breaking a request: [[models]], [defaults] but queue_max and\n" +
      "[memory] for loads from then on, log_level, and the file with the token. The log says what needs a restart; a file with an error changes nothing.",
    "SIGINT or SIGTERM drains and stops; a second one stops at once. The daemon also ends by itself,\n" +
      "with code 1, when a device has failed for good: let a supervisor start it again.",
  ],
  args: {
    config: { type: "string", valueHint: "FILE", description: "neuron.toml to read" },
    listen: { type: "string", valueHint: "HOST:PORT", description: "where the gateway connects" },
    "models-dir": { type: "string", valueHint: "FOLDER", description: "folder of GGUF files" },
    library: { type: "string", valueHint: "FILE", description: "native library to load" },
    device: {
      type: "string",
      valueHint: "INDEX",
      description: "serve this device only; all of them when left out",
    },
    "memory-limit-mib": {
      type: "string",
      valueHint: "MIB",
      description: "most memory of each device that models may take",
    },
    "log-level": {
      type: "enum",
      options: ["debug", "info", "warn", "error"],
      valueHint: "LEVEL",
      description: "least severity that is logged",
    },
    check: { type: "boolean", description: "check the configuration and start nothing" },
  },
  repeatable: ["device"],
  examples: [
    "neuron",
    "neuron --models-dir /srv/models --listen 0.0.0.0:13131",
    "neuron --device 0 --device 1",
  ],
  exits: ["failed", "usage"],
  run: async (args) => {
    const { loadNeuronConfig } = await import("../config/load-neuron-config.ts");
    const limit = args["memory-limit-mib"];
    const overrides = [
      ...overrideWith("--listen", { path: ["neuron", "listen"], text: args.listen }),
      ...overrideWith("--models-dir", { path: ["neuron", "models_dir"], text: args["models-dir"] }),
      ...overrideWith("--library", { path: ["neuron", "library"], text: args.library }),
      ...overrideWith("--log-level", { path: ["neuron", "log_level"], text: args["log-level"] }),
      ...overrideWith("--memory-limit-mib", {
        path: ["memory", "limit_mib"],
        text: limit,
        isNumber: true,
      }),
    ];
    const devices = splitRepeated(args.device).map(readDeviceIndex);
    const { CONFIG_FOLDER } = await import("../config/config-file.ts");
    const { ConfigReloader, readStamps } = await import("../lifecycle/config-reloader.ts");
    const { listSecretFiles } = await import("../config/secret.ts");
    const load = async () => {
      const { config, file } = await loadNeuronConfig({ file: args.config, overrides });
      const files = file === undefined ? [] : [file];
      return { config, file, files, secretFiles: listSecretFiles(config) };
    };
    const watched = [args.config ?? join(CONFIG_FOLDER, "neuron.toml")];
    const stamps = await readStamps(watched);
    const first = await load();
    const secretStamps = await readStamps(first.secretFiles);
    const { config, file } = first;
    if (args.check === true) {
      process.stdout.write(`${file ?? "The built-in defaults"}: no errors\n`);
      return EXIT.ok;
    }
    return serveUntilStopped({
      role: "neuron",
      level: config.neuron.log_level,
      format: config.neuron.log_format,
      checkConfig: load,
      start: async (log) => {
        const { startNeuron } = await import("../neuron/start.ts");
        const neuron = await startNeuron({
          config,
          log,
          ...(devices.length === 0 ? {} : { deviceFilter: devices }),
          ...(process.env[TEST_FAULTS_VARIABLE] === "1" ? { testFaults: true } : {}),
        });
        const reloader = new ConfigReloader({
          ...{ first, load, log, clock: systemClock, watched, stamps, secretStamps },
          apply: (wanted) => {
            const change = neuron.reload(wanted.config);
            log.setLevel(wanted.config.neuron.log_level);
            return change;
          },
        });
        void reloader.run();
        return {
          ...neuron,
          reload: () => reloader.reload("SIGHUP"),
          stop: async () => {
            reloader.stop();
            await neuron.stop();
          },
        };
      },
    });
  },
});

function readDeviceIndex(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new CortexError("usage", `Cannot read --device ${text}: it must be an index from 0`, {
    hint: "cortex neuron --help",
  });
}
