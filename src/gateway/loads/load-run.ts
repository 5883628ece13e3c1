import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Model, PlanResponse } from "../../protocol/models.ts";
import type { EvictionStrategy } from "../evictor/eviction-order.ts";
import { planEviction } from "../evictor/evictor.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import { toLoadedModels, toNeeds } from "./residents.ts";

/** What an operator may ask beyond the profile. */
export interface LoadSettings {
  readonly context?: number;
  readonly slots?: number;
  readonly pinned?: boolean;
}

export interface LoadRun {
  readonly fleet: Fleet;
  readonly api: NeuronApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly strategy: EvictionStrategy;
  readonly loadSecondsMax: number;
  readonly observer: { onEvicted(neuron: string, strategy: EvictionStrategy): void };
  readonly neuron: string;
  readonly entry: CatalogueEntry;
  readonly settings: LoadSettings;
  readonly signal: AbortSignal;
  /** Runs the work when no other load of this neuron plans or evicts. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Planning loads the model without allocation: a fifth of a second, more for a large one on a cold disk. */
const PLAN_TIMEOUT_MS = 30_000;
/** Freeing device memory is quick; the neuron waits for nobody with only_idle. */
const UNLOAD_TIMEOUT_MS = 60_000;
const ADMISSION_TIMEOUT_MS = 30_000;
/** Plans made anew because the neuron's state had moved on in between. */
const ROUNDS_MAX = 5;
/** How long a load waits for models in use to become idle before its waiters are told to come back. */
const VICTIM_WAIT_MS = 60_000;
/** Besides events: how often the neuron is asked how far it is. */
const PROGRESS_POLL_MS = 1_000;
/** Deadline per GiB of weights: a slow disk reads 50 MB/s. */
const SECONDS_PER_GIB = 20;
const GIB = 1024 ** 3;

/** One load from plan to ready. */
export async function runLoad(run: LoadRun): Promise<void> {
  if (isReady(run)) return;
  const replica = run.fleet.findReplica(run.neuron, run.entry.source);
  if (replica?.report?.state !== "loading") await admit(run);
  await waitUntilReady(run);
}

function isReady(run: LoadRun): boolean {
  const { fleet, neuron, entry, settings } = run;
  const report = fleet.findReplica(neuron, entry.source)?.report;
  const asked = settings.context !== undefined || settings.slots !== undefined;
  return report?.state === "ready" && !asked && settings.pinned !== true;
}

/** Makes room and starts the load; waits while victims are in use. */
async function admit(run: LoadRun): Promise<void> {
  const untilMs = run.clock.monotonicMs() + VICTIM_WAIT_MS;
  for (let round = 0; ; ) {
    const outcome = await run.inTurn(() => planEvictLoad(run));
    if (outcome === "started") return;
    if (outcome === "moved_on") {
      round += 1;
      if (round < ROUNDS_MAX) continue;
      throw new CortexError(
        "unavailable",
        `Model '${run.entry.id}' found no room on ${run.neuron} in ${ROUNDS_MAX} attempts`,
        { retryAfterSeconds: 2 },
      );
    }
    const leftMs = untilMs - run.clock.monotonicMs();
    if (leftMs <= 0) throw outcome;
    await waitForChange(run, Math.min(leftMs, PROGRESS_POLL_MS));
  }
}

/** One round in turn. An error that is returned rather than thrown may pass when models in use become idle. */
async function planEvictLoad(run: LoadRun): Promise<"started" | "moved_on" | CortexError> {
  const { api, entry, fleet, neuron, settings, signal } = run;
  const context = settings.context ?? entry.context;
  const slots = settings.slots ?? entry.slots;
  const placement = {
    model: entry.source,
    ...(context === undefined ? {} : { context }),
    ...(slots === undefined ? {} : { slots }),
  };
  const plan = await api.plan(placement, { timeoutMs: PLAN_TIMEOUT_MS, signal });
  if (plan.fits !== "now") {
    const room = await makeRoom(run, plan);
    if (room !== "made") return room;
  }
  try {
    const model = await api.load(
      { ...placement, pinned: settings.pinned ?? entry.pinned, wait: false },
      { timeoutMs: ADMISSION_TIMEOUT_MS, signal },
    );
    fleet.applyModel(neuron, model);
    return "started";
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    // A conflict with a model that is there already: other settings were asked for than it has.
    const ready = fleet.findReplica(neuron, entry.source)?.report?.state === "ready";
    if (thrown.code === "conflict" && ready) throw thrown;
    if (thrown.code === "does_not_fit" || thrown.code === "conflict") return "moved_on";
    if (thrown.code === "unavailable" || thrown.code === "timeout") throw thrown;
    throw new CortexError("load_failed", thrown.message, { cause: thrown });
  }
}

async function makeRoom(
  run: LoadRun,
  plan: PlanResponse,
): Promise<"made" | "moved_on" | CortexError> {
  const { api, entry, fleet, neuron, strategy, signal } = run;
  if (plan.fits === "never") throw doesNotFit(run, plan, "too_large");
  const nowMs = run.clock.nowMs();
  const loaded = toLoadedModels(fleet, neuron, { plan, nowMs });
  const eviction = planEviction(loaded, toNeeds(plan), { strategy, nowMs });
  if (eviction.kind !== "evict") {
    const reason = eviction.kind === "none" ? eviction.reason : "in_use";
    if (reason === "pinned" || reason === "too_large") throw doesNotFit(run, plan, reason);
    return new CortexError(
      "unavailable",
      `Model '${entry.id}' waits for room on ${neuron}: the models there are in use`,
      { retryAfterSeconds: 5, figures: { ...plan } },
    );
  }
  for (const victim of eviction.victims) {
    // What was idle when planned may be wanted by now: the neuron and our own leases have the last word.
    const replica = fleet.findReplica(neuron, victim);
    if (replica !== undefined && replica.inFlight > 0) return "moved_on";
    run.log.info("Evicting", { neuron, model: victim, for: entry.source, strategy });
    // From here on a request for the victim waits for its turn to load it again.
    fleet.noteNotLoaded(neuron, victim);
    try {
      await api.unload(
        { model: victim, only_idle: true },
        { timeoutMs: UNLOAD_TIMEOUT_MS, signal },
      );
    } catch (thrown) {
      await refresh(run);
      if (thrown instanceof CortexError && thrown.code === "conflict") return "moved_on";
      throw thrown;
    }
    run.observer.onEvicted(neuron, strategy);
  }
  return "made";
}

function doesNotFit(run: LoadRun, plan: PlanResponse, reason: "pinned" | "too_large"): CortexError {
  const why =
    reason === "pinned" ? "what could make room is pinned" : "its devices are too small for it";
  const figures = plan.devices
    .map(
      ({ index, needed_bytes, free_bytes }) =>
        `device ${index} needs ${gib(needed_bytes)}, has ${gib(free_bytes)} free`,
    )
    .join("; ");
  return new CortexError(
    "does_not_fit",
    `Model '${run.entry.id}' does not fit on ${run.neuron}: ${why} (${figures})`,
    { figures: { ...plan } },
  );
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(2)} GiB`;
}

/** Waits for ready; the deadline moves on while progress is reported. */
async function waitUntilReady(run: LoadRun): Promise<void> {
  const { clock, entry, fleet, loadSecondsMax, neuron } = run;
  const first = fleet.findReplica(neuron, entry.source)?.report;
  const weights = first?.bytes?.weights ?? first?.file_bytes ?? 0;
  const patienceMs = (loadSecondsMax + (SECONDS_PER_GIB * weights) / GIB) * 1_000;
  const instance = fleet.neuron(neuron).health?.instance;
  let progress = -1;
  let deadlineMs = clock.monotonicMs() + patienceMs;
  for (;;) {
    const report = fleet.findReplica(neuron, entry.source)?.report;
    const record = fleet.neuron(neuron);
    if (record.reachability === "down" || record.health?.instance !== instance) {
      throw new CortexError("unavailable", `Neuron ${neuron} went away during the load`, {
        retryAfterSeconds: 2,
      });
    }
    if (report?.state === "ready") return;
    failUnlessLoading(report);
    const nowMs = clock.monotonicMs();
    if ((report?.progress ?? 0) > progress) {
      progress = report?.progress ?? 0;
      deadlineMs = nowMs + patienceMs;
    }
    if (nowMs >= deadlineMs) {
      throw new CortexError("load_failed", `no progress for ${Math.round(patienceMs / 1_000)} s`);
    }
    const changed = await waitForChange(run, PROGRESS_POLL_MS);
    if (!changed) await refresh(run);
  }
}

function failUnlessLoading(report: Model | undefined): void {
  if (report?.state === "loading") return;
  const state = report?.state ?? "gone";
  throw new CortexError("load_failed", report?.cause ?? `the neuron says that it is ${state}`);
}

/** Asks the neuron for the state of all its models. */
async function refresh(run: LoadRun): Promise<void> {
  try {
    const models = await run.api.models({ timeoutMs: ADMISSION_TIMEOUT_MS, signal: run.signal });
    for (const model of models) run.fleet.applyModel(run.neuron, model);
  } catch (thrown) {
    run.signal.throwIfAborted();
    // The poller judges whether the neuron is down; here the next look decides.
    run.log.debug("Progress not read", { neuron: run.neuron, cause: describeError(thrown) });
  }
}

/** Resolves at the next change of this neuron, or with false when none came in time. */
async function waitForChange(run: LoadRun, limitMs: number): Promise<boolean> {
  const changed = new AbortController();
  const unsubscribe = run.fleet.subscribe((change) => {
    if (change.neuron === run.neuron) changed.abort();
  });
  try {
    await run.clock.sleep(limitMs, AbortSignal.any([changed.signal, run.signal]));
    return false;
  } catch (thrown) {
    run.signal.throwIfAborted();
    if (!isAbort(thrown)) throw thrown;
    return true;
  } finally {
    unsubscribe();
  }
}
