import { CortexError } from "../base/errors.ts";
import { AdminLoadResponseSchema, type Status, StatusSchema } from "../protocol/status.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { dryRunFlag, getModel, getNeuron, printDryRun } from "./client/dry-run.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";

const args = {
  model: { type: "positional", required: true, description: "its id or an alias" },
  neuron: { type: "string", valueHint: "NAME", description: "where; wherever it is when left out" },
  ...dryRunFlag,
  ...clientFlags("900"),
} as const;

/** `cortex pin MODEL`: keeps a loaded model in memory. */
export const pinCommand = defineCliCommand({
  name: "pin",
  summary: "Keep a loaded model in memory: nothing evicts it",
  details: [
    "Without --neuron wherever it is ready; cortex load MODEL --pin loads it as well. A neuron forgets\n" +
      "pins when it restarts; pinned = true in models.toml holds for ever.",
  ],
  args,
  examples: ["pin smollm2", "pin smollm2 --neuron workstation"],
  exits: ["failed", "usage", "unreachable"],
  run: (given) => setPinned("pin", given),
});

/** `cortex unpin MODEL`: takes a pin back. */
export const unpinCommand = defineCliCommand({
  name: "unpin",
  summary: "Let a pinned model be evicted again; it stays loaded until then",
  details: ["A pin of models.toml comes back by itself: take it out there."],
  args,
  examples: ["unpin smollm2"],
  exits: ["failed", "usage", "unreachable"],
  run: (given) => setPinned("unpin", given),
});

interface PinFlags extends Readonly<Parameters<typeof openClient>[0]> {
  readonly model: string;
  readonly neuron?: string | undefined;
  readonly "dry-run"?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

async function setPinned(command: "pin" | "unpin", flags: PinFlags): Promise<number> {
  const client = openClient(flags);
  const status = await client.get("/admin/status", StatusSchema);
  const pinned = command === "pin";
  const { id, places } = findPlaces(status, flags);
  const wanted = places.filter((place) => place.pinned !== pinned).map(({ neuron }) => neuron);
  if (flags["dry-run"] === true) {
    const changes = wanted.map((neuron) => ({ action: command, model: id, neuron }));
    printDryRun(command, flags, { changes });
    return EXIT.ok;
  }
  // One after the other: each is quick, and an error says how far it came.
  for (const neuron of wanted) {
    await client.post(
      "/admin/load",
      { model: id, neuron, pinned, only_ready: true },
      AdminLoadResponseSchema,
    );
  }
  const data = { model: id, pinned, neurons: places.map(({ neuron }) => neuron), changed: wanted };
  const said = pinned ? "is pinned on" : "is not pinned any more on";
  const text = `${id} ${said} ${data.neurons.join(", ")}\n`;
  printAnswer(command, flags, { data, text });
  return EXIT.ok;
}

/** Where the model is ready now: a pin keeps what is there and loads nothing. */
function findPlaces(status: Status, { model, neuron }: PinFlags) {
  const { id, replicas } = getModel(status, model);
  if (neuron !== undefined) getNeuron(status, neuron);
  const apis = status.neurons.filter(({ kind }) => kind !== undefined && kind !== "neuron");
  const places = replicas.filter(
    (replica) =>
      replica.state === "ready" &&
      (neuron === undefined || replica.neuron === neuron) &&
      !apis.some(({ name }) => name === replica.neuron),
  );
  if (places.length > 0) return { id, places };
  const where = neuron === undefined ? "on any neuron" : `on ${neuron}`;
  throw new CortexError("conflict", `Model '${id}' cannot be pinned: it is not ready ${where}`, {
    hint: `cortex load ${id}${neuron === undefined ? "" : ` --neuron ${neuron}`} --pin`,
  });
}
