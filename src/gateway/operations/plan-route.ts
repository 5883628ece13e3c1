import type { Clock } from "../../base/clock.ts";
import { describeError } from "../../base/errors.ts";
import type { AdminPlanResponse } from "../../protocol/status.ts";
import type { EvictionStrategy } from "../evictor/eviction-order.ts";
import { planEviction } from "../evictor/evictor.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { type LoadSettings, toLoadRequest } from "../loads/load-request.ts";
import { toLoadedModels, toNeeds } from "../loads/residents.ts";
import type { KnownPrompt } from "../prefix/known-prompt.ts";
import { fastestDecode, type Prediction, predictCold, predictWarm } from "../router/predict.ts";
import { chooseRoute, type RouteChoice } from "../router/router.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";

export interface RoutePlanOptions {
  readonly fleet: Fleet;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly clock: Clock;
  readonly strategy: EvictionStrategy;
  /** Under which name this gateway leases models. */
  readonly holder: string;
  readonly entry: CatalogueEntry;
  readonly prompt: KnownPrompt;
  /** What a load would be asked for beyond the profile. */
  readonly settings: LoadSettings;
  readonly signal: AbortSignal;
}

type Candidate = AdminPlanResponse["candidates"][number];

const PLAN_TIMEOUT_MS = 30_000;
/** A plan loads the model without its memory: not every neuron of a large fleet has to do that. */
const PLANS_MAX = 8;

/**
 * What the router would do with a request now: every candidate with what its predicted seconds are made of, the best
 * cold ones also with what they would have to evict, and every neuron that has the model and is no candidate, with the
 * reason. Changes nothing.
 */
export async function planRoute(options: RoutePlanOptions): Promise<AdminPlanResponse> {
  const { fleet, entry, prompt } = options;
  const warm = fleet.warmCandidates(entry, undefined);
  const cold = fleet.coldCandidates(entry, undefined);
  const fastest = Math.max(fastestDecode(warm), fastestDecode(cold));
  const { stickyTo } = prompt;
  const choice = chooseRoute({ prompt, stickyTo, warm, cold: () => cold, random: () => 0 });
  const warmOnes = warm
    .map((candidate) => predictWarm(candidate, prompt, { fastest }))
    .toSorted(bySeconds)
    .map((prediction) => describeCandidate(options, prediction));
  const predictions = cold
    .map((candidate) => predictCold(candidate, prompt, { fastest }))
    .toSorted(bySeconds);
  const rejected = listRejected(options, new Set(warm.map(({ neuron }) => neuron)));
  const coldOnes = await Promise.all(
    predictions.map(async (prediction, index) => ({
      ...describeCandidate(options, prediction),
      ...(index < PLANS_MAX ? await planRoom(options, prediction.neuron) : {}),
    })),
  );
  return {
    model: entry.id,
    ...(choice === undefined ? { why: fleet.explainNone(entry).message } : describeChoice(choice)),
    prompt_tokens: Math.round(prompt.promptTokens),
    candidates: [...warmOnes, ...coldOnes],
    rejected,
  };
}

function describeChoice({ neuron, reason, seconds, cold }: RouteChoice) {
  return { choice: { neuron, reason, seconds, cold } };
}

function bySeconds(one: Prediction, other: Prediction): number {
  return one.seconds - other.seconds;
}

function listRejected(
  { fleet, entry }: RoutePlanOptions,
  warm: ReadonlySet<string>,
): { neuron: string; why: string }[] {
  const unreached = fleet
    .unknownNeurons()
    .filter((name) => entry.neurons === undefined || entry.neurons.has(name))
    .map((neuron) => ({ neuron, why: "has not been reached yet" }));
  const known = fleet.rejected(entry).filter(({ neuron }) => !warm.has(neuron));
  return [...known, ...unreached];
}

function describeCandidate(
  { fleet, entry, prompt }: RoutePlanOptions,
  prediction: Prediction,
): Candidate {
  const { neuron, seconds } = prediction;
  const cachedTokens = Math.round(prediction.cachedTokens);
  const replica = fleet.findReplica(neuron, entry.source);
  return {
    neuron,
    state: replica?.report?.state ?? "absent",
    in_flight: replica?.inFlight ?? 0,
    slots: replica?.report?.slots ?? 0,
    seconds,
    parts: {
      queue_seconds: prediction.queueSeconds,
      load_seconds: prediction.loadSeconds,
      prefill_seconds: prediction.prefillSeconds,
      crowding: prediction.crowding,
      decode_seconds: prediction.decodeSeconds,
      regret_seconds: prediction.regretSeconds,
    },
    cached_tokens: cachedTokens,
    uncached_tokens: Math.max(0, Math.round(prompt.promptTokens) - cachedTokens),
  };
}

/** What the neuron itself says of the load, and what would have to go for it. */
async function planRoom(options: RoutePlanOptions, neuron: string): Promise<Partial<Candidate>> {
  const { apis, clock, fleet, strategy, holder, entry, signal } = options;
  try {
    const plan = await apis
      .get(neuron)
      ?.plan(toLoadRequest(entry, options.settings), { timeoutMs: PLAN_TIMEOUT_MS, signal });
    if (plan === undefined) return {};
    const known = { fits: plan.fits, needs: plan.devices };
    if (plan.fits === "now") return { ...known, evicts: [] };
    if (plan.fits === "never") return { ...known, why: "too large for its devices" };
    const nowMs = clock.nowMs();
    const loaded = toLoadedModels(fleet, neuron, { plan, nowMs, fresh: true, holder });
    const eviction = planEviction(loaded, toNeeds(plan), { strategy, nowMs });
    if (eviction.kind === "none" && eviction.reason === "recent") {
      return { ...known, evicts: [], why: "waits: what is there was just loaded" };
    }
    if (eviction.kind === "none") return { ...known, why: `no room: ${eviction.reason}` };
    const evicts = [...eviction.victims];
    if (eviction.kind === "evict") return { ...known, evicts };
    return { ...known, evicts, why: `waits until idle: ${eviction.busy.join(", ")}` };
  } catch (thrown) {
    signal.throwIfAborted();
    return { why: describeError(thrown) };
  }
}
