import { defineCliCommand } from "./frame/cli-command.ts";

/** `cortex __probe LIBRARY`: tries a native library in a process of its own: a crash there is a message here. */
export const probeCommand = defineCliCommand({
  name: "__probe",
  hidden: true,
  summary: "Try a native library (used by the neuron itself)",
  args: {
    path: { type: "positional", required: true, description: "the library" },
  },
  examples: ["__probe ./libneuron_cpu.so"],
  exits: ["failed"],
  run: async ({ path }) => {
    const { runProbe } = await import("../neuron/native/probe.ts");
    return runProbe(path);
  },
});
