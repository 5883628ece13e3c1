import { formatBytes } from "../base/units.ts";
import { type ModelStatus, StatusSchema } from "../protocol/status.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { getModel } from "./client/dry-run.ts";
import { formatParameters } from "./client/format-parameters.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { type Style, styleFor } from "./frame/style.ts";
import { formatTable } from "./frame/table.ts";

/** `cortex show MODEL`: all that is known of one model. */
export const showCommand = defineCliCommand({
  name: "show",
  summary: "Show one model: what it is, what it can, and each neuron that has it",
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    ...clientFlags("10"),
  },
  examples: ["show smollm2", "show smollm2 --json"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const model = getModel(await openClient(args).get("/admin/status", StatusSchema), args.model);
    const text = `${formatModel(model, styleFor(process.stdout))}\n`;
    printAnswer("show", args, { data: model, text });
    return EXIT.ok;
  },
});

function formatModel(model: ModelStatus, style: Style): string {
  const facts = [
    ["state", model.state],
    ["source", model.source],
    ["aliases", model.aliases.join(", ") || "-"],
    ["architecture", model.architecture || "-"],
    ["parameters", formatParameters(model.parameters)],
    ["quantization", model.quantization || "-"],
    ["file", formatBytes(model.file_bytes)],
    ["context", `${model.context} (trained with ${model.context_train})`],
    ["can", model.capabilities.join(", ") || "-"],
    ["priority", String(model.priority)],
    ["pinned", model.pinned ? "yes, by its profile" : "no"],
  ] as const;
  const table = formatTable(
    ["NEURON", "STATE", "DEVICES", "MEMORY", "CONTEXT", "SLOTS", "LOADS IN", "TOK/S", "PINNED"],
    model.replicas.map((replica) => [
      replica.neuron,
      replica.state,
      replica.devices.join(",") || "-",
      replica.bytes === undefined
        ? "-"
        : formatBytes(replica.bytes.weights + replica.bytes.context + replica.bytes.compute),
      String(replica.context),
      `${replica.slots_busy}/${replica.slots}`,
      replica.load_seconds === undefined ? "-" : `${replica.load_seconds.toFixed(1)} s`,
      replica.decode_tokens_per_second?.toFixed(1) ?? "-",
      replica.pinned ? "yes" : "no",
    ]),
    { right: ["MEMORY", "CONTEXT", "SLOTS", "LOADS IN", "TOK/S"], paintHeader: style.bold },
  );
  const causes = model.replicas.flatMap(({ neuron, cause }) =>
    cause === undefined ? [] : [`${neuron}: ${cause}`],
  );
  return [
    style.bold(model.id),
    ...facts.map(([name, value]) => `  ${name.padEnd(12)}  ${value}`),
    "",
    table,
    ...causes,
  ].join("\n");
}
