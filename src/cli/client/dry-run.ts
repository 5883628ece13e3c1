import { CortexError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import type { DryRun } from "../../protocol/command-output.ts";
import type { ModelStatus, NeuronStatus, Status } from "../../protocol/status.ts";
import { type PrintFlags, printAnswer } from "../frame/print-answer.ts";

/** The flag of every command that changes something. */
export const dryRunFlag = {
  "dry-run": { type: "boolean", description: "say what would be done, and do nothing" },
} as const;

export type Change = DryRun["changes"][number];
type ChangingCommand = "load" | "unload" | "pin" | "unpin" | "drain" | "undrain" | "pull" | "rm";

/** Prints what would be done, one line each; `why` says what is in the way. */
export function printDryRun(
  command: ChangingCommand,
  flags: PrintFlags,
  plan: { readonly changes: readonly Change[]; readonly why?: string | undefined },
): void {
  const changes = [...plan.changes];
  const why = plan.why === undefined ? {} : { why: plan.why };
  const lines = changes.map(describeChange);
  if (lines.length === 0) lines.push("Nothing would change");
  if (plan.why !== undefined) lines.push(plan.why);
  const text = lines.map((line) => `${line}\n`).join("");
  printAnswer(command, flags, { data: { dry_run: true, changes, ...why }, text });
}

/** The model of that id or alias. Throws `model_not_found`. */
export function getModel(status: Status, name: string): ModelStatus {
  const found = status.models.find(({ id, aliases }) => id === name || aliases.includes(name));
  if (found !== undefined) return found;
  throw new CortexError("model_not_found", `Model '${name}' does not exist`);
}

/** The neuron of that name. Throws `invalid_request`. */
export function getNeuron(status: Status, name: string): NeuronStatus {
  const found = status.neurons.find((neuron) => neuron.name === name);
  if (found !== undefined) return found;
  const names = status.neurons.map((neuron) => neuron.name).join(", ") || "none";
  throw new CortexError(
    "invalid_request",
    `Neuron '${name}' is not configured: the gateway has ${names}`,
  );
}

function describeChange({ action, model, neuron, to, loads, bytes, in_flight }: Change): string {
  if (action === "move") {
    const how = loads === true ? "and load it there first" : "which has it ready";
    return `Would move ${model} from ${neuron} to ${to}, ${how}`;
  }
  return [
    `Would ${action}`,
    ...(model === undefined ? [] : [model]),
    ...(neuron === undefined ? [] : [model === undefined ? neuron : `on ${neuron}`]),
    ...(bytes === undefined ? [] : [`(${formatBytes(bytes)})`]),
    ...(in_flight === undefined ? [] : [`(${in_flight} in flight)`]),
  ].join(" ");
}
