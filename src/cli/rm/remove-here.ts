import { systemClock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { formatAge } from "../../base/units.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import { readSecret } from "../../config/secret.ts";
import { RECENT_USE_MS } from "../../hub/make-room.ts";
import type { RemovalPlan } from "../../neuron/supply/plan-removal.ts";
import type { Removal } from "../../protocol/removals.ts";
import { LocalNeuron } from "./local-neuron.ts";

/**
 * Removes a model from this host's folders. Refused without `force`: files that nobody pulled, what this host's neuron
 * has loaded or pinned, and what may be loaded by a neuron that does not answer. With it, the model is unloaded first.
 * @throws CortexError conflict, model_not_found
 */
export async function removeHere(
  name: string,
  options: { readonly config: NeuronConfig; readonly force: boolean; readonly dryRun: boolean },
): Promise<Removal> {
  const { config, force, dryRun } = options;
  const { Catalogue } = await import("../../neuron/models/catalogue.ts");
  const { modelFolders } = await import("../../neuron/supply/model-folders.ts");
  const { planRemoval } = await import("../../neuron/supply/plan-removal.ts");
  const { runRemoval } = await import("../../neuron/supply/run-removal.ts");
  const { folders, store } = modelFolders(config, process.env);
  const catalogue = new Catalogue({ folders, log: silentLog, clock: systemClock });
  await catalogue.scan();
  const plan = await planRemoval(name, { catalogue, folders, store });
  if (plan.record === undefined && !force) {
    throw new CortexError(
      "conflict",
      `${plan.model} was not pulled by cortex: its files are yours`,
      {
        hint: `cortex rm ${name} --force`,
      },
    );
  }
  const { token_env: variable, token_file: file } = config.neuron;
  const neuron = new LocalNeuron(config, readSecret({ variable, file }, process.env)?.value);
  const unloaded = await checkUse(plan, { neuron, force });
  const removal = {
    model: plan.model,
    ...(plan.record === undefined ? {} : { source: plan.record.source }),
    ...{ unloaded, files: [...plan.files], kept: [...plan.kept] },
  };
  if (dryRun) return { ...removal, freed_bytes: plan.files.reduce((sum, f) => sum + f.bytes, 0) };
  if (unloaded) await unload(plan, neuron);
  return { ...removal, freed_bytes: await runRemoval(plan, { store, clock: systemClock }) };
}

/** Whether it must be unloaded first. @throws CortexError conflict where that, or doubt, is in the way */
async function checkUse(
  plan: RemovalPlan,
  options: { readonly neuron: LocalNeuron; readonly force: boolean },
): Promise<boolean> {
  const { neuron, force } = options;
  const { model: id, entry, record } = plan;
  if (entry === undefined) return false;
  const use = await neuron.findUse(entry.id, entry.digest);
  if (use.kind === "known") {
    const { state, pinned } = use.model ?? { state: "absent", pinned: false };
    const isLoaded = !["absent", "failed"].includes(state);
    if ((isLoaded || pinned) && !force) {
      const why = pinned ? "pinned" : state;
      throw new CortexError("conflict", `${id} is ${why} in the neuron at ${neuron.url}`, {
        hint: `cortex rm ${id} --force, which unloads it first`,
      });
    }
    return isLoaded;
  }
  const unusedMs = record === undefined ? Infinity : systemClock.nowMs() - record.lastUsedMs;
  if (force || unusedMs >= RECENT_USE_MS) return false;
  throw new CortexError(
    "conflict",
    `${id} may be loaded: it was pulled or used ${formatAge(Math.max(0, unusedMs))} ago, and of the neuron at ${neuron.url}, ${use.why}`,
    { hint: `cortex rm ${id} --force once no neuron here has it loaded` },
  );
}

async function unload({ model, entry }: RemovalPlan, neuron: LocalNeuron): Promise<void> {
  if (entry === undefined) return;
  await neuron.unload(entry.id);
  // Somebody may have asked for it meanwhile.
  const use = await neuron.findUse(entry.id, entry.digest);
  const state = use.kind === "known" ? use.model?.state : undefined;
  if (state === undefined || state === "absent" || state === "failed") return;
  throw new CortexError("conflict", `${model} was unloaded and is ${state} again`, {
    hint: "cortex ps, for who uses it",
  });
}
