import { CortexError } from "../base/errors.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

/** `cortex up`: a neuron, a gateway and a model on this machine with one command. */
export const upCommand = defineCliCommand({
  name: "up",
  summary: "Start everything on this machine: a model, a neuron and a gateway",
  details: [
    "Gets a small model (98 MB) when the models folder is empty, starts a neuron and a gateway on\n" +
      "loopback, waits until a real request has been answered, and keeps both running: a daemon\n" +
      "that ends is started again within a second. Ctrl-C drains and stops both.",
    "Files in /etc/cortex are not read; for a lasting installation use cortex neuron and\n" +
      "cortex gateway.",
  ],
  args: {
    port: {
      type: "string",
      valueHint: "PORT",
      default: "31313",
      description: "the gateway's port; metrics get the next one",
    },
    "neuron-port": {
      type: "string",
      valueHint: "PORT",
      default: "13131",
      description: "the neuron's port; 0 takes a free one",
    },
    "models-dir": { type: "string", valueHint: "FOLDER", description: "folder of GGUF files" },
    model: { type: "string", valueHint: "ID", description: "model of the first request" },
    library: { type: "string", valueHint: "FILE", description: "native library to load" },
    "memory-limit-mib": {
      type: "string",
      valueHint: "MIB",
      description: "most memory of each device that models may take",
    },
    once: { type: "boolean", description: "stop after the first answer" },
    verbose: { type: "boolean", description: "show what both daemons log" },
  },
  examples: ["up", "up --port 8080", "up --models-dir /srv/models --model qwen3-8b-q4_k_m"],
  exits: ["failed", "usage", "doesNotFit"],
  run: async (args) => {
    const { runUp } = await import("./up/run-up.ts");
    await runUp({
      port: readPort(args.port, "--port"),
      neuronPort: readPort(args["neuron-port"], "--neuron-port"),
      modelsDir: args["models-dir"],
      model: args.model,
      library: args.library,
      memoryLimitMib: args["memory-limit-mib"],
      once: args.once === true,
      verbose: args.verbose === true,
    });
    return EXIT.ok;
  },
});

function readPort(text: string, flag: string): number {
  // 65535 has no next port for the metrics.
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_535) return Number(text);
  throw new CortexError("usage", `Cannot read ${flag} ${text}: it must be a port from 0 to 65534`, {
    hint: "cortex up --help",
  });
}
