import { CortexError, describeError } from "../../base/errors.ts";
import { findRoom } from "./find-room.ts";
import type { LoadRun } from "./load-run.ts";
import { readModels, refreshModels } from "./unload-idle.ts";
import { waitForChange } from "./wait-for-change.ts";

/** Besides events: how often the neuron is asked how far it is. */
const PROGRESS_POLL_MS = 1_000;
/** Deadline per GiB of weights: a slow disk reads 50 MB/s. */
const SECONDS_PER_GIB = 20;
const GIB = 1024 ** 3;
/** A neuron ends a load within a second; one whose device stands still may not. */
const CANCEL_TIMEOUT_MS = 5_000;
/** Should it have become ready in this moment: its requests have their time. */
const CANCEL_DRAIN_SECONDS = 300;

/** One load from plan to ready. */
export async function runLoad(run: LoadRun): Promise<void> {
  await findRoom(run);
  run.enter("loading");
  await waitUntilReady(run);
}

/** Waits for ready; the deadline moves on while progress is reported. A load that passes it is ended at the neuron. */
async function waitUntilReady(run: LoadRun): Promise<void> {
  const { clock, entry, fleet, loadSecondsMax, neuron } = run;
  const first = fleet.findReplica(neuron, entry.source)?.report;
  const weights = first?.bytes?.weights ?? first?.file_bytes ?? 0;
  const patienceMs = (loadSecondsMax + (SECONDS_PER_GIB * weights) / GIB) * 1_000;
  const instance = fleet.findNeuron(neuron)?.health?.instance;
  let progress = -1;
  let deadlineMs = clock.monotonicMs() + patienceMs;
  for (;;) {
    const report = fleet.findReplica(neuron, entry.source)?.report;
    const record = fleet.findNeuron(neuron);
    if (record?.reachability !== "up" || record.health?.instance !== instance) {
      throw new CortexError("unavailable", `Neuron ${neuron} went away during the load`, {
        retryAfterSeconds: 2,
      });
    }
    if (report?.state === "ready") return;
    if (report?.state !== "loading" && (await isReadyAfterAll(run))) return;
    const nowMs = clock.monotonicMs();
    if ((report?.progress ?? 0) > progress) {
      progress = report?.progress ?? 0;
      deadlineMs = nowMs + patienceMs;
    }
    if (nowMs >= deadlineMs) {
      await cancelLoad(run);
      throw new CortexError("load_failed", `no progress for ${Math.round(patienceMs / 1_000)} s`);
    }
    const changed = await waitForChange(run, { neuron, limitMs: PROGRESS_POLL_MS });
    if (!changed) await refreshModels(run);
  }
}

/** Nobody is to wait for it again; the memory that it has is wanted for others. */
async function cancelLoad(run: LoadRun): Promise<void> {
  const { api, entry, log, neuron, signal } = run;
  try {
    const request = { model: entry.source, drain_seconds: CANCEL_DRAIN_SECONDS };
    await api.unload(request, { timeoutMs: CANCEL_TIMEOUT_MS, signal });
  } catch (thrown) {
    signal.throwIfAborted();
    // It cools down all the same, so that nobody joins it.
    log.warn("Load not ended", { neuron, model: entry.source, cause: describeError(thrown) });
  }
  await refreshModels(run);
}

/**
 * Whether a model that seems not to load is ready; throws when it is neither that nor on its way. What the neuron told
 * before the load may come after its answer to it, so it is asked; without an answer nothing is sure yet.
 */
async function isReadyAfterAll(run: LoadRun): Promise<boolean> {
  const { entry, fleet, neuron } = run;
  const models = await readModels(run);
  if (models === undefined) return false;
  const report = models.find(({ id }) => id === entry.source);
  if (report !== undefined) fleet.applyModel(neuron, report);
  if (report?.state === "ready") return true;
  if (report?.state === "loading") return false;
  const state = report?.state ?? "gone";
  throw new CortexError("load_failed", report?.cause ?? `the neuron says that it is ${state}`);
}
