import { formatBytes } from "../base/units.ts";
import { type ModelStatus, StatusSchema } from "../protocol/status.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { formatParameters } from "./client/format-parameters.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";
import { formatTable } from "./frame/table.ts";

/** `cortex models`: everything that a request may name. */
export const modelsCommand = defineCliCommand({
  name: "models",
  aliases: ["list", "ls"],
  summary: "List every model that a request may name, loaded or not",
  args: clientFlags("10"),
  examples: ["models", "models --json"],
  exits: ["failed", "usage", "unreachable"],
  run: async ({ host, timeout, json, quiet }) => {
    const { models } = await openClient({ host, timeout }).get("/admin/status", StatusSchema);
    const text = formatTable(
      ["MODEL", "STATE", "SIZE", "PARAMETERS", "QUANT", "CONTEXT", "CAN", "NEURONS", "ALIASES"],
      models.map(modelRow),
      {
        right: ["SIZE", "PARAMETERS", "CONTEXT"],
        paintHeader: styleFor(process.stdout).bold,
      },
    );
    printAnswer("models", { json, quiet }, { data: { models }, text: `${text}\n` });
    return EXIT.ok;
  },
});

function modelRow(model: ModelStatus): string[] {
  return [
    model.id,
    model.state,
    formatBytes(model.file_bytes),
    formatParameters(model.parameters),
    model.quantization || "-",
    String(model.context),
    model.capabilities.join(",") || "-",
    model.replicas.map((replica) => replica.neuron).join(",") || "-",
    model.aliases.join(",") || "-",
  ];
}
