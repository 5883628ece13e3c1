import { formatBytes } from "../base/units.ts";
import { type ModelStatus, StatusSchema } from "../protocol/status.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
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
    formatCount(model.parameters),
    model.quantization || "-",
    String(model.context),
    model.capabilities.join(",") || "-",
    model.replicas.map((replica) => replica.neuron).join(",") || "-",
    model.aliases.join(",") || "-",
  ];
}

/** `135M`, `7.6B`, as model names write it. */
function formatCount(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(1)}B`;
  if (parameters >= 1e6) return `${Math.round(parameters / 1e6)}M`;
  return parameters > 0 ? `${Math.round(parameters / 1e3)}K` : "-";
}
