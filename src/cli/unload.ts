import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import {
  type AdminUnloadResponse,
  AdminUnloadResponseSchema,
  type ModelStatus,
  type ReplicaStatus,
  type Status,
  StatusSchema,
} from "../protocol/status.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { dryRunFlag, getModel, printDryRun } from "./client/dry-run.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { type PrintFlags, printAnswer } from "./frame/print-answer.ts";

/** `cortex unload MODEL`: frees a model's memory. */
export const unloadCommand = defineCliCommand({
  name: "unload",
  summary: "Let a model's requests finish and free its memory",
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    neuron: { type: "string", valueHint: "NAME", description: "where; everywhere when left out" },
    "drain-seconds": {
      type: "string",
      valueHint: "SECONDS",
      description: "how long its requests may go on (default: 30); 0 cancels them",
    },
    force: { type: "boolean", description: "also what is pinned, or kept loaded by its profile" },
    ...dryRunFlag,
    ...clientFlags("300"),
  },
  examples: ["unload smollm2", "unload smollm2 --neuron workstation --drain-seconds 0"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const drainSeconds = readWhole(args["drain-seconds"], "--drain-seconds");
    if (args["dry-run"] === true) return await planUnload(args);
    const body = {
      model: args.model,
      ...(args.neuron === undefined ? {} : { neuron: args.neuron }),
      ...(drainSeconds === undefined ? {} : { drain_seconds: drainSeconds }),
      ...(args.force === true ? { force: true } : {}),
    };
    const answer = await unload(openClient(args), body);
    printAnswer("unload", args, { data: answer, text: describe(answer) });
    return EXIT.ok;
  },
});

async function unload(
  client: AdminClient,
  body: { readonly model: string },
): Promise<AdminUnloadResponse> {
  try {
    return await client.post("/admin/unload", body, AdminUnloadResponseSchema);
  } catch (thrown) {
    if (!(thrown instanceof CortexError) || thrown.code !== "conflict") throw thrown;
    // The gateway's words are for every client of its API.
    const hint = `cortex unload ${body.model} --force`;
    throw new CortexError("conflict", thrown.message, { hint });
  }
}

function describe(answer: {
  readonly model: string;
  readonly unloaded: readonly { readonly neuron: string; readonly freed_bytes: number }[];
}): string {
  if (answer.unloaded.length === 0) return `${answer.model} was not loaded anywhere\n`;
  return answer.unloaded
    .map(({ neuron, freed_bytes }) => {
      return `${answer.model} is gone from ${neuron}: ${formatBytes(freed_bytes)} freed\n`;
    })
    .join("");
}

async function planUnload(
  args: Parameters<typeof openClient>[0] &
    PrintFlags & {
      readonly model: string;
      readonly neuron?: string | undefined;
      readonly force?: boolean | undefined;
    },
): Promise<number> {
  const status = await openClient(args).get("/admin/status", StatusSchema);
  const model = getModel(status, args.model);
  const held = model.replicas.filter(
    ({ neuron, state }) =>
      state !== "absent" && (args.neuron === undefined || neuron === args.neuron),
  );
  const stay = args.force === true ? undefined : whyItStays(status, model, held);
  if (stay !== undefined) {
    const why = `${model.id} ${stay}; --force unloads it all the same`;
    printDryRun("unload", args, { changes: [], why });
    return EXIT.failed;
  }
  const changes = held.map(({ neuron, bytes, in_flight }) => ({
    ...{ action: "unload" as const, model: model.id, neuron, in_flight },
    ...(bytes === undefined ? {} : { bytes: bytes.weights + bytes.context + bytes.compute }),
  }));
  printDryRun("unload", args, { changes });
  return EXIT.ok;
}

/** What the gateway would refuse: what is pinned, and what a profile keeps loaded and would load again at once. */
function whyItStays(
  status: Status,
  { replicas, replicas_min = 0 }: ModelStatus,
  held: readonly ReplicaStatus[],
): string | undefined {
  const isLoaded = ({ state }: ReplicaStatus) => state === "ready" || state === "loading";
  const leaving = held.filter(isLoaded);
  const pin = leaving.find(({ pinned }) => pinned);
  if (pin !== undefined) return `is pinned on ${pin.neuron}`;
  const takesLoads = (name: string) =>
    status.neurons.some(
      (neuron) => neuron.name === name && (neuron.state === "up" || neuron.state === "degraded"),
    );
  const left = replicas.filter(
    (one) => isLoaded(one) && !leaving.includes(one) && takesLoads(one.neuron),
  );
  if (leaving.length === 0 || left.length >= replicas_min) return undefined;
  return `is kept on ${replicas_min} neurons by its profile`;
}
