import {
  type ColdCandidate,
  fastestDecode,
  type Prediction,
  type Prompt,
  predictCold,
  predictWarm,
  type WarmCandidate,
} from "./predict.ts";

export interface RouteQuestion {
  readonly prompt: Prompt;
  readonly warm: readonly WarmCandidate[];
  /** Asked only when the warm ones make one wait. */
  readonly cold: () => readonly ColdCandidate[];
  /** Who served this client's session last. */
  readonly stickyTo?: string | undefined;
  /** A number in [0, 1), for the draw among many candidates. */
  readonly random: () => number;
}

/**
 * Why a neuron was chosen.
 * only: no other serves the model. prefix: it holds more of the prompt than another. sticky: the session was there
 * last and it is about as good as the best. fastest: least predicted seconds. least-loaded: the same where speeds are
 * not measured yet. two-choices: the better of two drawn from many. loading: it is being loaded. cold: it has to be.
 */
export type RouteReason =
  | "only"
  | "prefix"
  | "sticky"
  | "fastest"
  | "least-loaded"
  | "two-choices"
  | "loading"
  | "cold";

export interface RouteChoice {
  readonly neuron: string;
  readonly reason: RouteReason;
  /** Predicted seconds to the first token. */
  readonly seconds: number;
  /** Whether the model has to be loaded first. */
  readonly cold: boolean;
  /** Who was weighed against each other, for those who ask later why. */
  readonly considered: readonly Considered[];
}

/** A candidate, and what was predicted of it. */
export interface Considered {
  readonly candidate: WarmCandidate | ColdCandidate;
  readonly prediction: Prediction;
}

/** A cold replica is looked at only when the warm wait exceeds this plus its load time. */
const COLD_PATIENCE_SECONDS = 2;
/** From this many candidates on, the better of two drawn ones is as good and spreads several gateways. */
const DRAW_FROM = 8;
/** Weight of each request that waits for a slot already, in a decision for a cold replica that costs others theirs. */
const PRESSURE = 2;
/** The same where memory is free: nobody pays for that replica. */
const PRESSURE_IN_FREE_MEMORY = 16;
/** A session stays for at most this much more than the best would take. */
const STICKY_SECONDS_MAX = 1;
/** Nobody feels this: among neurons that differ by less, the one with the fewest conversations is better. */
const TIE_SECONDS = 0.05;

/**
 * Picks the candidate with the least predicted seconds to the first token:
 * 1. queue wait, when more requests are there than slots, and what is left to read of prompts before;
 * 2. uncached prompt tokens / prefill speed x (1 + 6 x in flight / slots + 2 x requests expected meanwhile);
 * 3. where neurons differ in speed, what the answer takes longer than on the fastest;
 * 4. cold: load seconds and eviction regret.
 * Where a measured speed is missing, candidates with clearly more in flight than the least loaded one are left out.
 */
export function chooseRoute(question: RouteQuestion): RouteChoice | undefined {
  const warm = chooseWarm(question);
  if (warm !== undefined && warm.seconds <= COLD_PATIENCE_SECONDS) return warm;
  const { best, all } = chooseCold(question);
  if (best === undefined) return warm;
  if (warm === undefined) return toColdChoice(best, all);
  const considered = [...warm.considered, ...all];
  const weight = best.regretSeconds > 0 ? PRESSURE : PRESSURE_IN_FREE_MEMORY;
  const seconds = warm.seconds * pressureOf(question.warm, weight);
  const worthWaiting = seconds <= COLD_PATIENCE_SECONDS + best.loadSeconds;
  if (worthWaiting || seconds <= best.seconds) return { ...warm, considered };
  return toColdChoice(best, considered);
}

/**
 * By how much a wait counts more for those who wait as well: another replica would spare them a part of theirs. The
 * free slots of one that is on its way help nobody yet.
 */
function pressureOf(warm: readonly WarmCandidate[], weight: number): number {
  let least: number | undefined;
  for (const { inFlight, slots, loadingSeconds } of warm) {
    if (loadingSeconds > 0) continue;
    const waiting = Math.max(0, inFlight - slots) / slots;
    least = Math.min(least ?? waiting, waiting);
  }
  return 1 + weight * (least ?? 0);
}

function chooseWarm(question: RouteQuestion): RouteChoice | undefined {
  const { warm } = question;
  const [first] = warm;
  if (first === undefined) return undefined;
  if (warm.length === 1) {
    const only = { candidate: first, prediction: predictWarm(first, question.prompt) };
    return toWarmChoice(only, "only", [only]);
  }
  const measured = warm.every((candidate) => candidate.prefillTokensPerSecond !== undefined);
  const even = measured ? warm : withoutCrowded(warm);
  const compared = even.length >= DRAW_FROM ? drawFrom(even, question) : even;
  const fastest = fastestDecode(compared);
  const best = pickBest(compared, question.prompt, fastest);
  if (best === undefined) return undefined;
  const { all, chosen } = best;
  const sticky = pickSticky(all, question, chosen.prediction);
  if (sticky !== undefined) return toWarmChoice(sticky, "sticky", all);
  if (chosen.prediction.cachedTokens > best.leastCached) return toWarmChoice(chosen, "prefix", all);
  const drawn = compared.length < even.length;
  const reason = drawn ? "two-choices" : measured ? "fastest" : "least-loaded";
  return toWarmChoice(chosen, reason, all);
}

function pickBest(compared: readonly WarmCandidate[], prompt: Prompt, fastest: number) {
  const all: PredictedWarm[] = [];
  let best: PredictedWarm | undefined;
  let leastCached = Number.POSITIVE_INFINITY;
  for (const candidate of compared) {
    const prediction = predictWarm(candidate, prompt, { fastest });
    const predicted = { candidate, prediction };
    all.push(predicted);
    leastCached = Math.min(leastCached, prediction.cachedTokens);
    if (best === undefined || prediction.seconds < best.prediction.seconds) best = predicted;
  }
  if (best === undefined) return undefined;
  return { all, chosen: breakTie(all, best, prompt), leastCached };
}

interface PredictedWarm extends Considered {
  readonly candidate: WarmCandidate;
}

/**
 * Of those that are about as good as the best and cache as much of the prompt, the one that was asked least lately: who
 * begins there now comes back, and should find room in its cache and a slot.
 */
function breakTie(
  all: readonly PredictedWarm[],
  best: PredictedWarm,
  prompt: Prompt,
): PredictedWarm {
  if (prompt.requestsPerSecond === undefined) return best;
  const secondsMax = best.prediction.seconds + TIE_SECONDS;
  let chosen = best;
  let least = prompt.requestsPerSecond(best.candidate.neuron);
  for (const predicted of all) {
    const { neuron, seconds, cachedTokens } = predicted.prediction;
    if (seconds > secondsMax || cachedTokens < best.prediction.cachedTokens) continue;
    const rate = prompt.requestsPerSecond(neuron);
    if (rate >= least) continue;
    chosen = predicted;
    least = rate;
  }
  return chosen;
}

/** The session's last neuron, unless it is best anyway, has no slot free, or costs more than the bias is worth. */
function pickSticky(
  all: readonly PredictedWarm[],
  { stickyTo }: RouteQuestion,
  best: Prediction,
): PredictedWarm | undefined {
  if (stickyTo === undefined || stickyTo === best.neuron) return undefined;
  const last = all.find(({ candidate }) => candidate.neuron === stickyTo);
  if (last === undefined || last.candidate.inFlight >= last.candidate.slots) return undefined;
  return last.prediction.seconds > best.seconds + STICKY_SECONDS_MAX ? undefined : last;
}

function withoutCrowded(warm: readonly WarmCandidate[]): readonly WarmCandidate[] {
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of warm) {
    if (candidate.loadingSeconds === 0) least = Math.min(least, candidate.inFlight);
  }
  if (least === Number.POSITIVE_INFINITY) return warm;
  const limit = Math.min(least + 2, 1.5 * least + 1);
  return warm.filter((candidate) => candidate.inFlight <= limit);
}

/** Two at random, the one that holds most of the prompt, and the session's last. */
function drawFrom(
  candidates: readonly WarmCandidate[],
  question: RouteQuestion,
): readonly WarmCandidate[] {
  const first = Math.floor(question.random() * candidates.length);
  const step = 1 + Math.floor(question.random() * (candidates.length - 1));
  const second = (first + step) % candidates.length;
  const holder = findHolder(candidates, question.prompt);
  return candidates.filter(
    (candidate, index) =>
      index === first ||
      index === second ||
      index === holder ||
      candidate.neuron === question.stickyTo,
  );
}

/** Where most of the prompt is cached, the least busy one of several; -1 when it is nowhere. */
function findHolder(candidates: readonly WarmCandidate[], prompt: Prompt): number {
  let holder = -1;
  if (prompt.cachedTokens === undefined) return holder;
  let most = 0;
  let least = 0;
  for (const [index, { neuron, inFlight, slots, loadingSeconds }] of candidates.entries()) {
    const cached = loadingSeconds > 0 ? 0 : prompt.cachedTokens(neuron, most);
    if (cached === 0 || cached < most) continue;
    const load = inFlight / slots;
    if (cached === most && load >= least) continue;
    holder = index;
    most = cached;
    least = load;
  }
  return holder;
}

function chooseCold(question: RouteQuestion) {
  const cold = question.cold();
  const fastest = Math.max(fastestDecode(cold), fastestDecode(question.warm));
  const all: Considered[] = [];
  let best: Prediction | undefined;
  for (const candidate of cold) {
    const prediction = predictCold(candidate, question.prompt, { fastest });
    all.push({ candidate, prediction });
    if (best === undefined || prediction.seconds < best.seconds) best = prediction;
  }
  return { best, all };
}

function toColdChoice(
  { neuron, seconds }: Prediction,
  considered: readonly Considered[],
): RouteChoice {
  return { neuron, reason: "cold", seconds, cold: true, considered };
}

function toWarmChoice(
  { candidate, prediction }: PredictedWarm,
  reason: RouteReason,
  considered: readonly Considered[],
): RouteChoice {
  const loading = candidate.loadingSeconds > 0;
  const { neuron, seconds } = prediction;
  return { neuron, reason: loading ? "loading" : reason, seconds, cold: loading, considered };
}
