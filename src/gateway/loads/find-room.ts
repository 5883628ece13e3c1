import { CortexError } from "../../base/errors.ts";
import type { PlanResponse } from "../../protocol/models.ts";
import { predictRegretSeconds } from "../evictor/eviction-order.ts";
import { type LoadedModel, planEviction } from "../evictor/evictor.ts";
import { isWarm } from "../fleet/candidates.ts";
import { estimateLoadSeconds } from "../fleet/estimate-load.ts";
import { isProtected } from "../fleet/protection.ts";
import { askPlan, toRunRequest } from "./ask-neuron.ts";
import { type Drains, drainElsewhere } from "./drain-elsewhere.ts";
import { type Eviction, evictVictims } from "./evict-victims.ts";
import type { LoadRun } from "./load-run.ts";
import { type Admission, mayBePassed, planAdmission } from "./plan-admission.ts";
import { toLoadedModels, toNeeds } from "./residents.ts";
import { doesNotFit, stillInUse } from "./room-errors.ts";
import { waitForChange } from "./wait-for-change.ts";

const ADMISSION_TIMEOUT_MS = 30_000;
/** Attempts made anew because freed memory was not there. */
const MISSING_MAX = 5;
/** Between them, unless something changes sooner: drivers give freed memory back with delay. */
const SETTLE_MS = 500;
/** Attempts made anew because the neuron's state had moved on in between: half a minute of them. */
const MOVED_ON_MAX = 20;
/** The pauses between those double, and each is of random length, or two gateways would meet again and again. */
const PAUSE_MS_FIRST = 50;
const PAUSE_MS_MAX = 2_000;
/** A waiting load looks again at least this often. */
const LOOK_MS = 1_000;
/**
 * A neuron's plan is asked for again after this long; in between the fleet says who is in use. One in which others
 * load, or memory is kept for them, is asked for at the next look.
 */
const PLAN_AGE_MS = 5_000;
/** How long a load waits for room on its neuron in all: as long as clients wait by default. */
const ROOM_MS = 600_000;
/** How long requests of a closed model may go on: 8,000 tokens at 30 a second. Beyond it the other load gives way. */
const DRAIN_MS = 300_000;

type Outcome =
  | { readonly kind: "started" }
  | Exclude<Eviction, { readonly kind: "made" }>
  | { readonly kind: "wait"; readonly plan: PlanResponse | undefined };

/** The models that take no new requests for this load's sake, and since when. */
interface Closed {
  readonly sources: Set<string>;
  readonly drains: Drains;
  sinceMs: number;
}

/** Makes room and starts the load; waits while others come first or victims are in use. */
export async function findRoom(run: LoadRun): Promise<void> {
  const drains = { asked: new Set<string>(), over: new AbortController() };
  const closed: Closed = { sources: new Set(), drains, sinceMs: 0 };
  const untilMs = run.clock.monotonicMs() + ROOM_MS;
  const rounds = { moved_on: 0, missing: 0 };
  try {
    for (;;) {
      run.abandoned.throwIfAborted();
      const outcome = await run.inTurn(() => takeTurn(run, closed));
      if (outcome.kind === "started") return;
      if (outcome.kind === "wait") {
        await untilWorthATurn(run, { ...outcome, closed, untilMs });
        continue;
      }
      rounds[outcome.kind] += 1;
      await pause(run, rounds, outcome);
    }
  } finally {
    drains.over.abort();
    for (const source of closed.sources) run.fleet.open(run.neuron, source);
  }
}

/** Before another attempt. Throws after too many. */
async function pause(
  run: LoadRun,
  rounds: { readonly moved_on: number; readonly missing: number },
  { kind, why }: { readonly kind: "moved_on" | "missing"; readonly why: string },
): Promise<void> {
  const { clock, random, abandoned, entry, neuron } = run;
  if (rounds.moved_on >= MOVED_ON_MAX || rounds.missing >= MISSING_MAX) {
    throw new CortexError(
      "unavailable",
      `Model '${entry.id}' found no room on ${neuron} in ${rounds[kind]} attempts: ${why}`,
      { retryAfterSeconds: 2 },
    );
  }
  if (kind === "missing") {
    await waitForChange({ ...run, signal: abandoned }, { neuron, limitMs: SETTLE_MS });
    return;
  }
  const limitMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** (rounds.moved_on - 1));
  await clock.sleep(limitMs * (0.5 + random()), abandoned);
}

/** Waits for a change after which a turn may bring this load further. Throws once it has waited long enough. */
async function untilWorthATurn(
  run: LoadRun,
  state: { readonly plan: PlanResponse | undefined; closed: Closed; untilMs: number },
): Promise<void> {
  const { clock, fleet, abandoned, neuron } = run;
  const { plan, closed, untilMs } = state;
  const isPassing = plan?.unloads.some(({ loading }) => loading === true) === true;
  const againMs = clock.monotonicMs() + (isPassing ? LOOK_MS : PLAN_AGE_MS);
  run.enter("waiting");
  for (;;) {
    const nowMs = clock.monotonicMs();
    const drainedMs = closed.sources.size === 0 ? 0 : nowMs - closed.sinceMs;
    if (nowMs >= untilMs || drainedMs >= DRAIN_MS) throw stillInUse(run, plan);
    await waitForChange({ fleet, clock, signal: abandoned }, { neuron, limitMs: LOOK_MS });
    assertNotDown(run);
    if (plan === undefined || isThere(run) || clock.monotonicMs() >= againMs) break;
    if (hasFreed(run, plan)) break;
    const { admission } = decide(run, { plan, fresh: false });
    if (admission.kind !== "wait" && !isClosedAlready(admission, closed)) break;
  }
  // Loads that came later do not pass it now.
  run.enter("making_room");
}

/** Of a neuron that hangs no model in use ever ends. */
function assertNotDown({ fleet, neuron }: LoadRun): void {
  const record = fleet.findNeuron(neuron);
  if (record !== undefined && record.reachability !== "down") return;
  const text = `Neuron ${neuron} went away before it had room`;
  throw new CortexError("unavailable", text, { retryAfterSeconds: 2 });
}

/** Whether a model that the plan has in memory is gone, by whoever's order. */
function hasFreed({ fleet, neuron }: LoadRun, plan: PlanResponse): boolean {
  return plan.unloads.some(({ model, loading }) => {
    const state = fleet.findReplica(neuron, model)?.report?.state;
    return loading !== true && (state === "absent" || state === "failed");
  });
}

function isClosedAlready(admission: Admission, { sources }: Closed): boolean {
  return admission.kind === "close" && admission.victims.every((source) => sources.has(source));
}

/** One round with the neuron's turn. */
async function takeTurn(run: LoadRun, closed: Closed): Promise<Outcome> {
  const { clock, entry, fleet, neuron } = run;
  if (isThere(run)) return { kind: "started" };
  const replica = fleet.findReplica(neuron, entry.source);
  const state = replica?.report?.state;
  // Other settings were asked for than it may have: it is pinned, or the neuron says what is different.
  if (state === "loading" || (state === "ready" && replica?.closed !== true))
    return await start(run);
  // It is on its way out, or others come first: the next change tells.
  if (state === "ready" || state === "draining") return { kind: "wait", plan: undefined };
  if (run.ahead().some((load) => !mayBePassed(load, run.groupMaxMs))) {
    return { kind: "wait", plan: undefined };
  }
  run.enter("making_room");
  const plan = await askPlan(run);
  run.abandoned.throwIfAborted();
  const { admission, loaded } = decide(run, { plan, fresh: true });
  if (run.gainSeconds !== undefined) assertWorthIt(run, { admission, loaded });
  switch (admission.kind) {
    case "load":
      return await start(run);
    case "evict": {
      const eviction = await evictVictims(run, { plan, victims: admission.victims });
      return eviction.kind === "made" ? await start(run) : eviction;
    }
    case "close":
      if (closed.sources.size === 0) closed.sinceMs = clock.monotonicMs();
      for (const source of admission.victims) {
        if (!closed.sources.has(source)) {
          run.log.info("Draining", { neuron, model: source, for: entry.source });
        }
        closed.sources.add(source);
        fleet.close(neuron, source);
        drainElsewhere(run, source, { drains: closed.drains, drainMs: DRAIN_MS });
      }
      return { kind: "wait", plan };
    case "wait":
      return { kind: "wait", plan };
    case "fail":
      throw doesNotFit(run, plan, admission.reason);
  }
}

/** Whether nothing is left to do here: it serves, or is being loaded. */
function isThere({ fleet, neuron, entry, settings }: LoadRun): boolean {
  const asked = settings.context !== undefined || settings.slots !== undefined;
  if (asked || settings.pinned !== undefined) return false;
  const replica = fleet.findReplica(neuron, entry.source);
  const state = replica?.report?.state;
  return state === "loading" || (state === "ready" && replica?.closed !== true);
}

function decide(
  run: LoadRun,
  view: { readonly plan: PlanResponse; readonly fresh: boolean },
): { admission: Admission; loaded: readonly LoadedModel[] } {
  const { clock, entry, fleet, neuron, strategy, groupMaxMs } = run;
  const { plan, fresh } = view;
  if (plan.fits === "never")
    return { admission: { kind: "fail", reason: "too_large" }, loaded: [] };
  const nowMs = clock.nowMs();
  const { holder } = run.leases;
  // What nobody waits for must not push out what others are to keep, or both would take turns.
  const sparesKept = run.gainSeconds !== undefined;
  const loaded = toLoadedModels(fleet, neuron, { plan, nowMs, fresh, holder, sparesKept });
  const eviction = planEviction(loaded, toNeeds(plan), { strategy, nowMs });
  const report = fleet.findReplica(neuron, entry.source)?.report;
  let swapSeconds = report === undefined ? 0 : estimateLoadSeconds(report);
  for (const { id, loadSeconds } of loaded) {
    if (eviction.kind !== "none" && eviction.victims.includes(id)) swapSeconds += loadSeconds;
  }
  const admission = planAdmission({
    ahead: run.ahead(),
    waitedMs: run.waitedMs(),
    fitsNow: plan.fits === "now",
    eviction,
    swapSeconds,
    groupMaxMs,
  });
  return { admission, loaded };
}

/** A load that nobody waits for takes free memory, or that of models which are worth less together. */
function assertWorthIt(
  { clock, entry, neuron, gainSeconds = 0 }: LoadRun,
  decision: { readonly admission: Admission; readonly loaded: readonly LoadedModel[] },
): void {
  const { admission, loaded } = decision;
  if (admission.kind === "load") return;
  const nowMs = clock.nowMs();
  let regretSeconds = Number.POSITIVE_INFINITY;
  if (admission.kind === "evict") {
    regretSeconds = 0;
    for (const model of loaded) {
      if (admission.victims.includes(model.id)) regretSeconds += predictRegretSeconds(model, nowMs);
    }
  }
  if (regretSeconds < gainSeconds) return;
  throw new CortexError(
    "unavailable",
    `Another replica of '${entry.id}' is not worth its room on ${neuron}`,
    { retryAfterSeconds: 5 },
  );
}

/** Asks the neuron to begin. */
async function start(run: LoadRun): Promise<Outcome> {
  const { api, entry, fleet, neuron, settings, signal } = run;
  run.abandoned.throwIfAborted();
  const pinned = settings.pinned ?? (isProtected(fleet, neuron, entry.source) || undefined);
  const before = fleet.findReplica(neuron, entry.source)?.report;
  const begins = before === undefined || !isWarm(before);
  if (begins) fleet.noteLoading(neuron, entry.source, true);
  try {
    const model = await api.load(
      {
        ...toRunRequest(run),
        ...(pinned === undefined ? {} : { pinned }),
        wait: false,
      },
      { timeoutMs: ADMISSION_TIMEOUT_MS, signal },
    );
    fleet.applyModel(neuron, model);
    if (begins) run.noteBegun();
    return { kind: "started" };
  } catch (thrown) {
    fleet.noteLoading(neuron, entry.source, false);
    if (!(thrown instanceof CortexError)) throw thrown;
    // A conflict with a model that is there already: other settings were asked for than it has.
    const ready = fleet.findReplica(neuron, entry.source)?.report?.state === "ready";
    if (thrown.code === "conflict" && ready) throw thrown;
    if (thrown.code === "does_not_fit" || thrown.code === "conflict") {
      return { kind: "moved_on", why: thrown.message };
    }
    if (thrown.code === "unavailable" || thrown.code === "timeout") throw thrown;
    throw new CortexError("load_failed", thrown.message, { cause: thrown });
  }
}
