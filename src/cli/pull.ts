import { basename } from "node:path";
import { systemClock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import type { NeuronConfig } from "../config/neuron-schema.ts";
import type { HubConnection } from "../hub/hub-request.ts";
import type { HubSource } from "../hub/hub-source.ts";
import type { PullPlan, PullProgress, PullResult } from "../hub/pull-model.ts";
import { dryRunFlag, printDryRun } from "./client/dry-run.ts";
import { overrideWith } from "./config-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { ProgressView } from "./frame/progress-view.ts";
import { styleFor } from "./frame/style.ts";

/** `cortex pull SOURCE`: downloads a model to where this host's neuron finds it. */
export const pullCommand = defineCliCommand({
  name: "pull",
  summary: "Download a model from the Hugging Face hub for this machine's neuron",
  details: [
    "SOURCE is hf:owner/repository, where that has one GGUF model, else hf:owner/repository:QUANTIZATION\n" +
      "or hf:owner/repository/FILE.gguf; @revision may follow the repository. All parts of a model are\n" +
      "fetched, and its projector where there is one.",
    "Files go to models_dir of neuron.toml, or to the hub's cache where its [supply] says so, in the\n" +
      "layout that llama.cpp and huggingface_hub share. A running neuron finds them within seconds.",
    "A download that is cut off or ended by Ctrl-C goes on with the same command. HF_TOKEN (or the file\n" +
      "at HF_TOKEN_PATH), HF_ENDPOINT, HF_HOME and HF_HUB_CACHE mean what they mean to the hub's clients.",
  ],
  args: {
    source: { type: "positional", required: true, description: "hf:owner/repository…" },
    config: { type: "string", valueHint: "FILE", description: "neuron.toml to read" },
    "models-dir": { type: "string", valueHint: "FOLDER", description: "folder of GGUF files" },
    "hub-cache": {
      type: "enum",
      options: ["off", "read", "write"],
      valueHint: "MODE",
      description: "write puts files into the hub's own cache",
    },
    projector: {
      type: "boolean",
      default: true,
      description: "fetch a model's projector, too; --no-projector leaves it out",
    },
    ...dryRunFlag,
    json: { type: "boolean", description: "print one line of JSON with schema_version" },
    quiet: { type: "boolean", alias: "q", description: "print no text, only errors" },
  },
  examples: [
    "pull hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M",
    "pull hf:owner/repository@v1.0/folder/Model-Q8_0.gguf --no-projector",
  ],
  exits: ["failed", "usage", "doesNotFit", "interrupted"],
  run: async (args) => {
    const { parseHubSource } = await import("../hub/hub-source.ts");
    const source = parseHubSource(args.source);
    const { loadNeuronConfig } = await import("../config/load-neuron-config.ts");
    const { config } = await loadNeuronConfig({
      file: args.config,
      withSecrets: false,
      overrides: [
        ...overrideWith("--models-dir", {
          path: ["neuron", "models_dir"],
          text: args["models-dir"],
        }),
        ...overrideWith("--hub-cache", { path: ["supply", "hub_cache"], text: args["hub-cache"] }),
      ],
    });
    if (args["dry-run"] === true) {
      const plan = await planOnly(source, args.projector);
      const changes = plan.files.map(({ path, bytes }) => {
        return { action: "fetch" as const, model: path, bytes };
      });
      const why = "Files that are there already are not fetched again";
      printDryRun("pull", args, { changes, why });
      return EXIT.ok;
    }
    const startedMs = systemClock.monotonicMs();
    const { projector, quiet } = args;
    const result = await pull(source, { config, projector, quiet: quiet === true });
    const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
    printAnswer("pull", args, { data: toJson(result, seconds), text: describe(result, seconds) });
    return EXIT.ok;
  },
});

/** Asks the hub which files it would be. */
async function planOnly(source: HubSource, projector: boolean): Promise<PullPlan> {
  const { planPull } = await import("../hub/pull-model.ts");
  const { readHubSettings } = await import("../hub/hub-settings.ts");
  const settings = await readHubSettings(process.env);
  const { signal } = new AbortController();
  return await planPull(source, {
    connection: { settings, clock: systemClock },
    projector,
    signal,
  });
}

async function pull(
  source: HubSource,
  options: {
    readonly config: NeuronConfig;
    readonly projector: boolean;
    readonly quiet: boolean;
  },
): Promise<PullResult> {
  const { config, projector, quiet } = options;
  const { planPull, runPull } = await import("../hub/pull-model.ts");
  const { readHubSettings } = await import("../hub/hub-settings.ts");
  const { modelFolders } = await import("../neuron/supply/model-folders.ts");
  const { store } = modelFolders(config, process.env);
  const clock = systemClock;
  const connection: HubConnection = { settings: await readHubSettings(process.env), clock };
  const view = new ProgressView({
    output: process.stderr,
    style: styleFor(process.stderr),
    nowMs: () => clock.monotonicMs(),
    unit: "bytes",
  });
  let last: PullProgress | undefined;
  const interrupt = await watchInterrupt(() => last);
  try {
    const { signal } = interrupt;
    const plan = await planPull(source, { connection, projector, signal });
    const files = plan.files.length === 1 ? "1 file" : `${plan.files.length} files`;
    const note = (text: string) => {
      if (!quiet) view.note(text);
    };
    note(
      `${plan.listing.repository}@${plan.listing.commit.slice(0, 7)}: ${files}, ${formatBytes(plan.totalBytes)}`,
    );
    return await runPull(plan, {
      ...{ store, connection, signal },
      budgetBytes: config.supply.disk_bytes_max,
      onNote: note,
      onProgress: (progress) => {
        last = progress;
        const { file: label, doneBytes: done, totalBytes: total } = progress;
        if (!quiet) view.show({ label, done, total });
      },
    });
  } finally {
    view.clear();
  }
}

/** Aborts at the first Ctrl-C; a second one ends the process at once, which harms nothing either. */
async function watchInterrupt(progress: () => PullProgress | undefined): Promise<AbortController> {
  const { waitForStopSignal } = await import("../lifecycle/signals.ts");
  const abort = new AbortController();
  void waitForStopSignal().then(() => {
    const last = progress();
    const kept =
      last === undefined
        ? "nothing had arrived yet"
        : `${formatBytes(last.doneBytes)} of ${formatBytes(last.totalBytes)} are kept`;
    abort.abort(
      new CortexError("cancelled", `Interrupted: ${kept}`, {
        hint: "the same command again, which goes on from there",
      }),
    );
  });
  return abort;
}

function describe(result: PullResult, seconds: number): string {
  const what =
    result.fetchedBytes === 0
      ? "was there already"
      : `${formatBytes(result.fetchedBytes)} in ${seconds.toFixed(1)} s`;
  return `${result.source}: ${what}\n${result.paths.map((path) => `  ${path}\n`).join("")}`;
}

function toJson(result: PullResult, seconds: number) {
  return {
    source: result.source,
    commit: result.commit,
    bytes: result.totalBytes,
    fetched_bytes: result.fetchedBytes,
    seconds: Math.round(seconds * 1000) / 1000,
    files: result.paths.map((path) => ({ name: basename(path), path })),
  };
}
