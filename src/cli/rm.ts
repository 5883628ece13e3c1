import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import type { Removal } from "../protocol/removals.ts";
import { AdminRemoveResponseSchema } from "../protocol/removals.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { type Change, dryRunFlag, printDryRun } from "./client/dry-run.ts";
import { overrideWith } from "./config-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";

/** `cortex rm MODEL`: removes a model's files, here or on a neuron. */
export const rmCommand = defineCliCommand({
  name: "rm",
  summary: "Remove a pulled model's files from this machine, or from a neuron",
  details: [
    "MODEL is an id, an alias or the hf: source of a pull. All parts go, and the projector; what another\n" +
      "pulled model shares stays until that one goes, too.",
    "Refused are files that cortex did not pull, and a model that this machine's neuron has loaded or\n" +
      "pinned. --force unloads it first, and removes files of your own.",
    "With --neuron or --host the gateway has that neuron do it, where [supply] remove of its neuron.toml\n" +
      "allows it; files that cortex did not pull stay there in any case.",
  ],
  args: {
    model: { type: "positional", required: true, description: "its id, an alias or hf:…" },
    neuron: { type: "string", valueHint: "NAME", description: "a neuron of the gateway" },
    force: { type: "boolean", description: "unload it first; also files of your own, here" },
    config: { type: "string", valueHint: "FILE", description: "this machine's neuron.toml" },
    "models-dir": { type: "string", valueHint: "FOLDER", description: "folder of GGUF files" },
    "hub-cache": {
      type: "enum",
      options: ["off", "read", "write"],
      valueHint: "MODE",
      description: "whether the hub's own cache is looked at",
    },
    ...dryRunFlag,
    ...clientFlags("120"),
  },
  examples: [
    "rm hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M",
    "rm qwen3-8b-q4_k_m --dry-run",
    "rm qwen3-8b-q4_k_m --neuron workstation --force",
  ],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const isRemote = args.neuron !== undefined || args.host !== undefined;
    const removal = isRemote ? await removeThere(args) : await removeOnThisHost(args);
    if (args["dry-run"] !== true) {
      printAnswer("rm", args, { data: removal, text: describe(removal) });
      return EXIT.ok;
    }
    printDryRun("rm", args, { changes: toChanges(removal), why: describeKept(removal) });
    return EXIT.ok;
  },
});

type DoneRemoval = Removal & { readonly neuron?: string };

async function removeOnThisHost(args: {
  readonly model: string;
  readonly force?: boolean | undefined;
  readonly config?: string | undefined;
  readonly "models-dir"?: string | undefined;
  readonly "hub-cache"?: string | undefined;
  readonly "dry-run"?: boolean | undefined;
}): Promise<DoneRemoval> {
  const { loadNeuronConfig } = await import("../config/load-neuron-config.ts");
  const { removeHere } = await import("./rm/remove-here.ts");
  const { config } = await loadNeuronConfig({
    file: args.config,
    overrides: [
      ...overrideWith("--models-dir", { path: ["neuron", "models_dir"], text: args["models-dir"] }),
      ...overrideWith("--hub-cache", { path: ["supply", "hub_cache"], text: args["hub-cache"] }),
    ],
  });
  const { force, "dry-run": dryRun } = args;
  return await removeHere(args.model, { config, force: force === true, dryRun: dryRun === true });
}

async function removeThere(
  args: Parameters<typeof openClient>[0] & {
    readonly model: string;
    readonly neuron?: string | undefined;
    readonly force?: boolean | undefined;
    readonly "dry-run"?: boolean | undefined;
  },
): Promise<DoneRemoval> {
  const body = {
    model: args.model.replace(/^hf:/, ""),
    ...(args.neuron === undefined ? {} : { neuron: args.neuron }),
    ...(args.force === true ? { force: true } : {}),
    ...(args["dry-run"] === true ? { dry_run: true } : {}),
  };
  try {
    return await openClient(args).post("/admin/remove", body, AdminRemoveResponseSchema);
  } catch (error) {
    const isOff = error instanceof CortexError && error.message.includes("supply.remove");
    if (!isOff) throw error;
    throw new CortexError("forbidden", error.message, {
      hint: "cortex rm on that neuron's host, or [supply] remove = true in its neuron.toml",
    });
  }
}

function toChanges({ model, neuron, unloaded, files }: DoneRemoval): readonly Change[] {
  const where = neuron === undefined ? {} : { neuron };
  return [
    ...(unloaded ? [{ action: "unload" as const, model, ...where }] : []),
    ...files.map(({ path, bytes }) => ({
      ...{ action: "remove" as const, model: path, ...where, bytes },
    })),
  ];
}

function describe(removal: DoneRemoval): string {
  const { model, neuron, files, freed_bytes } = removal;
  const kept = describeKept(removal);
  return [
    `${model} is gone${neuron === undefined ? "" : ` from ${neuron}`}: ${formatBytes(freed_bytes)} freed`,
    ...files.map(({ path }) => `  ${path}`),
    ...(kept === undefined ? [] : [kept]),
    "",
  ].join("\n");
}

function describeKept({ kept }: Removal): string | undefined {
  if (kept.length === 0) return undefined;
  return kept.map(({ path, why }) => `Kept: ${path}, for ${why}`).join("\n");
}
