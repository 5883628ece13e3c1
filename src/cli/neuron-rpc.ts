import { CortexError } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { splitRepeated } from "./frame/strict-args.ts";

const THREADS_MAX = 512;
const DEVICE_MAX = 9_999;

/** `cortex neuron rpc`: lends this machine's devices to the neuron of another one. */
export const neuronRpcCommand = defineCliCommand({
  name: "neuron rpc",
  summary: "Lend this machine's devices to a neuron on another machine",
  details: [
    "Serves one neuron at a time; it names this address in [devices] rpc of its neuron.toml, and a model may\n" +
      "then lie on devices of both machines.",
    "WARNING: ggml's RPC protocol has no authentication and no encryption. Whoever reaches the port can read\n" +
      "and write memory of this process and so take over its user. Private networks only, behind a firewall.",
  ],
  args: {
    listen: {
      type: "string",
      required: true,
      valueHint: "IP:PORT",
      description: "address of a private network to serve on; there is no default",
    },
    device: {
      type: "string",
      valueHint: "INDEX",
      description:
        "lend this device only; left out, all but the CPU, or the CPU where there is no other",
    },
    threads: { type: "string", valueHint: "N", description: "CPU threads of a CPU device" },
    library: { type: "string", valueHint: "FILE", description: "native library to load" },
  },
  repeatable: ["device"],
  examples: [
    "neuron rpc --listen 10.0.0.7:13140",
    "neuron rpc --listen 10.0.0.7:13140 --device 0 --device 1",
  ],
  exits: ["failed", "usage"],
  run: async (args) => {
    const devices = splitRepeated(args.device).map((text) =>
      readNumber("--device", { text, from: 0, to: DEVICE_MAX }),
    );
    const threads =
      args.threads === undefined
        ? undefined
        : readNumber("--threads", { text: args.threads, from: 1, to: THREADS_MAX });
    const { serveRpc } = await import("../neuron/rpc/serve-rpc.ts");
    return serveRpc({
      ...{ listen: args.listen, library: args.library, devices, threads },
      log: createLog("info"),
    });
  },
});

function readNumber(
  flag: string,
  limits: { readonly text: string; readonly from: number; readonly to: number },
): number {
  const { text, from, to } = limits;
  const value = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= from && value <= to) return value;
  throw new CortexError("usage", `Cannot read ${flag} ${text}: it must be from ${from} to ${to}`, {
    hint: "cortex neuron rpc --help",
  });
}
