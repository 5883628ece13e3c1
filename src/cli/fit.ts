import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import type { Fit, FitRow, FitVerdict } from "../protocol/fit-report.ts";
import { StatusSchema } from "../protocol/status.ts";
import { clientFlags, HOST_VARIABLE, openClient, readWhole } from "./client/client-flags.ts";
import type { FoundHeader } from "./fit/find-headers.ts";
import type { FitHost } from "./fit/plan-fit.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT, UnreachableError } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { type Style, styleFor } from "./frame/style.ts";
import { type Cell, formatTable } from "./frame/table.ts";

/** Up to the model's own, which is added. */
const CONTEXTS = [4_096, 8_192, 32_768, 131_072];
const SLOTS_MAX = 256;
/** A terminal has no room for more; --json and --neuron have. */
const COLUMNS_MAX = 6;

/** `cortex fit MODEL`: what fits where, before a byte of weights is downloaded. */
export const fitCommand = defineCliCommand({
  name: "fit",
  summary: "Say which quantization of a model fits where, with how much context",
  details: [
    "MODEL is hf:owner/repository, with :QUANTIZATION or /FILE.gguf where one is meant, or a model in this\n" +
      "machine's folder. Of a file on the hub only the header is read.",
    "Hosts are the gateway's neurons, or this machine where no gateway answers. The bytes are reckoned from\n" +
      "the header, within 2 % of the engine's own plan for the models that tests compare; architectures\n" +
      "without attention in each layer come out too high. A CPU with AMX packs quantized weights for it,\n" +
      "which takes up to twice their bytes. A neuron's plan at the load is what counts.",
  ],
  args: {
    model: { type: "positional", required: true, description: "hf:owner/repository… or an id" },
    slots: {
      type: "string",
      valueHint: "COUNT",
      description: "requests served at once (default: 1)",
    },
    neuron: { type: "string", valueHint: "NAME", description: "this neuron alone" },
    config: { type: "string", valueHint: "FILE", description: "this machine's neuron.toml" },
    ...clientFlags("60"),
  },
  examples: [
    "fit hf:ggml-org/gemma-3-4b-it-GGUF",
    "fit hf:owner/repository:Q4_K_M --slots 4",
    "fit smollm2-135m-instruct.q4_1 --neuron workstation",
  ],
  exits: ["failed", "usage", "unreachable", "doesNotFit"],
  run: async (args) => {
    const slots = readWhole(args.slots, "--slots") ?? 1;
    if (slots < 1 || slots > SLOTS_MAX) {
      throw new CortexError(
        "usage",
        `Cannot read --slots ${slots}: it must be from 1 to ${SLOTS_MAX}`,
      );
    }
    const hosts = await findHosts(args);
    const { readHubHeaders, readLocalHeader } = await import("./fit/find-headers.ts");
    const seconds = Number(args.timeout);
    const signal =
      seconds === 0 ? new AbortController().signal : AbortSignal.timeout(seconds * 1000);
    const found = args.model.startsWith("hf:")
      ? await readHubHeaders(args.model, signal).catch((thrown: unknown) => {
          if (!signal.aborted) throw thrown;
          throw new CortexError("timeout", `The hub did not tell all within ${seconds} s`);
        })
      : [await readLocalHeader(args.model, args.config)];
    const fit = await reckon(found, { source: args.model, slots, hosts });
    printAnswer("fit", args, { data: fit, text: format(fit, styleFor(process.stdout)) });
    const fitsNowhere = fit.rows.every((row) => row.hosts.every(({ fits }) => fits === "never"));
    return fitsNowhere ? EXIT.doesNotFit : EXIT.ok;
  },
});

/** A gateway that nobody named need not be there. */
async function findHosts(
  args: Parameters<typeof openClient>[0] & { readonly neuron?: string | undefined },
): Promise<readonly FitHost[]> {
  const { hostsOf } = await import("./fit/plan-fit.ts");
  try {
    const status = await openClient(args).get("/admin/status?models=loaded", StatusSchema);
    const hosts = hostsOf(status);
    const { neuron } = args;
    const chosen = neuron === undefined ? hosts : hosts.filter(({ name }) => name === neuron);
    if (chosen.length > 0) return chosen;
    const names = hosts.map(({ name }) => name).join(", ") || "none";
    const what = neuron === undefined ? "No neuron" : `Neuron '${neuron}'`;
    throw new CortexError(
      "unavailable",
      `${what} is there that loads models: the gateway has ${names}`,
    );
  } catch (error) {
    const isNamed = args.host !== undefined || Boolean(process.env[HOST_VARIABLE]);
    if (!(error instanceof UnreachableError) || isNamed || args.neuron !== undefined) throw error;
    const { findThisMachine } = await import("./fit/this-machine.ts");
    return [await findThisMachine()];
  }
}

async function reckon(
  found: readonly FoundHeader[],
  ask: { readonly source: string; readonly slots: number; readonly hosts: readonly FitHost[] },
): Promise<Fit> {
  const { estimateMemory } = await import("./fit/estimate-memory.ts");
  const { planFit } = await import("./fit/plan-fit.ts");
  const { describeGguf } = await import("../neuron/models/describe-gguf.ts");
  const { source, slots, hosts } = ask;
  const rows: FitRow[] = [];
  for (const { quantization, header, weights } of found) {
    for (const context of contextsFor(describeGguf(header).contextTrain)) {
      const bytes = estimateMemory(header, { weights, context, slots });
      const needed = bytes.weights + bytes.context + bytes.compute;
      rows.push({
        ...{ quantization, context, needed_bytes: needed, weights_bytes: bytes.weights },
        ...{ context_bytes: bytes.context, compute_bytes: bytes.compute },
        hosts: hosts.map((host) => ({ host: host.name, ...planFit(host, needed) })),
      });
    }
  }
  const [first] = found;
  const { architecture, contextTrain } =
    first === undefined ? { architecture: "unknown", contextTrain: 0 } : describeGguf(first.header);
  return { source, architecture, context_train: contextTrain, slots, rows };
}

function contextsFor(train: number): readonly number[] {
  if (train === 0) return CONTEXTS;
  return [...CONTEXTS.filter((context) => context < train), train];
}

const WORDS: Readonly<Record<FitVerdict, string>> = {
  now: "fits",
  after: "after evicting",
  offload: "needs offload",
  never: "never",
};

function format(fit: Fit, style: Style): string {
  const paint = { now: style.green, after: style.yellow, offload: style.yellow, never: style.red };
  const hosts = fit.rows[0]?.hosts ?? [];
  const shown = hosts.slice(0, COLUMNS_MAX);
  const rows = fit.rows.map((row): Cell[] => [
    ...[row.quantization, String(row.context), formatBytes(row.needed_bytes)],
    ...row.hosts
      .slice(0, COLUMNS_MAX)
      .map(({ fits }) => ({ text: WORDS[fits], paint: paint[fits] })),
  ]);
  const header = [
    ...["QUANTIZATION", "CONTEXT", "NEEDS"],
    ...shown.map(({ host, free_bytes }) => `${host} (${formatBytes(free_bytes)} free)`),
  ];
  const more = hosts.length - shown.length;
  return [
    `${fit.source}: ${fit.architecture}, trained for ${fit.context_train} tokens, ${fit.slots} at once`,
    "",
    formatTable(header, rows, { right: ["CONTEXT", "NEEDS"], paintHeader: style.bold }),
    ...(more > 0 ? [style.dim(`${more} more hosts: --neuron NAME or --json`)] : []),
    "",
  ].join("\n");
}
