/** A replica that serves, or is being loaded, and can take the request. */
export interface WarmCandidate {
  readonly neuron: string;
  /** Requests of this gateway and of others that run or wait there. */
  readonly inFlight: number;
  readonly slots: number;
  readonly prefillTokensPerSecond: number | undefined;
  /** Mean seconds that a request occupies a slot. */
  readonly serviceSeconds: number | undefined;
  /** Seconds until it serves: 0 when it is ready. */
  readonly loadingSeconds: number;
}

/** A neuron that could load the model. */
export interface ColdCandidate {
  readonly neuron: string;
  readonly slots: number;
  readonly prefillTokensPerSecond: number | undefined;
  readonly loadSeconds: number;
  /** What unloading others to make room will cost those who want them again, in seconds. */
  readonly regretSeconds: number;
}

export interface RouteQuestion {
  /** Prompt tokens to be computed, estimated from the size of the request. */
  readonly promptTokens: number;
  readonly warm: readonly WarmCandidate[];
  /** Asked only when the warm ones make one wait. */
  readonly cold: () => readonly ColdCandidate[];
  /** A number in [0, 1), for the draw among many candidates. */
  readonly random: () => number;
}

export type RouteReason = "only" | "fastest" | "least-loaded" | "two-choices" | "loading" | "cold";

export interface RouteChoice {
  readonly neuron: string;
  readonly reason: RouteReason;
  /** Predicted seconds to the first token. */
  readonly seconds: number;
  /** Whether the model has to be loaded first. */
  readonly cold: boolean;
}

/**
 * Weight of the cost that a request puts on others; without it the rule is selfish and 1.3 times
 * worse (simulated).
 */
const CROWDING = 6;
/** A cold replica is looked at only when the warm wait exceeds this plus its load time. */
const COLD_PATIENCE_SECONDS = 2;
/** A speed to start from while nobody has measured one. */
const PREFILL_TOKENS_PER_SECOND_GUESS = 1_000;
/** A duration to start from while nobody has measured one. */
const SERVICE_SECONDS_GUESS = 4;
/** From this many candidates on, the better of two drawn ones is as good and spreads several gateways. */
const DRAW_FROM = 8;

/**
 * Picks the candidate with the least predicted seconds to the first token:
 * 1. queue wait, when more requests are there than slots;
 * 2. prompt tokens / prefill speed x (1 + 6 x in flight / slots);
 * 3. cold: load seconds and eviction regret.
 * Where a measured speed is missing, candidates with clearly more in flight than the least loaded one are left out.
 */
export function chooseRoute(question: RouteQuestion): RouteChoice | undefined {
  const warm = chooseWarm(question);
  if (warm !== undefined && warm.seconds <= COLD_PATIENCE_SECONDS) return warm;
  const cold = chooseCold(question);
  if (cold === undefined) return warm;
  if (warm === undefined) return { ...cold.choice };
  const worthWaiting = warm.seconds <= COLD_PATIENCE_SECONDS + cold.loadSeconds;
  return worthWaiting || warm.seconds <= cold.choice.seconds ? warm : cold.choice;
}

/** The predicted seconds to the first token on one warm candidate. */
export function predictWarmSeconds(candidate: WarmCandidate, promptTokens: number): number {
  const service = candidate.serviceSeconds ?? SERVICE_SECONDS_GUESS;
  const ahead = candidate.inFlight - candidate.slots + 1;
  const queueSeconds = ahead > 0 ? (ahead * service) / candidate.slots : 0;
  const prefill = candidate.prefillTokensPerSecond ?? PREFILL_TOKENS_PER_SECOND_GUESS;
  const crowd = 1 + (CROWDING * candidate.inFlight) / candidate.slots;
  return candidate.loadingSeconds + queueSeconds + (promptTokens / prefill) * crowd;
}

function chooseWarm(question: RouteQuestion): RouteChoice | undefined {
  const { warm, promptTokens } = question;
  const first = warm[0];
  if (first === undefined) return undefined;
  if (warm.length === 1) {
    const reason = first.loadingSeconds > 0 ? "loading" : "only";
    return choice(first, reason, predictWarmSeconds(first, promptTokens));
  }
  const measured = warm.every((candidate) => candidate.prefillTokensPerSecond !== undefined);
  const even = measured ? warm : withoutCrowded(warm);
  const drawn = even.length >= DRAW_FROM ? drawTwo(even, question.random) : even;
  const reason = drawn.length < even.length ? "two-choices" : measured ? "fastest" : "least-loaded";
  let best = first;
  let bestSeconds = Number.POSITIVE_INFINITY;
  for (const candidate of drawn) {
    const seconds = predictWarmSeconds(candidate, promptTokens);
    if (seconds >= bestSeconds) continue;
    best = candidate;
    bestSeconds = seconds;
  }
  return choice(best, best.loadingSeconds > 0 ? "loading" : reason, bestSeconds);
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

function drawTwo(
  candidates: readonly WarmCandidate[],
  random: () => number,
): readonly WarmCandidate[] {
  const first = Math.floor(random() * candidates.length);
  const step = 1 + Math.floor(random() * (candidates.length - 1));
  const second = (first + step) % candidates.length;
  return candidates.filter((_, index) => index === first || index === second);
}

function chooseCold(
  question: RouteQuestion,
): { choice: RouteChoice; loadSeconds: number } | undefined {
  let best: { choice: RouteChoice; loadSeconds: number } | undefined;
  for (const candidate of question.cold()) {
    const prefill = candidate.prefillTokensPerSecond ?? PREFILL_TOKENS_PER_SECOND_GUESS;
    const seconds =
      candidate.loadSeconds + candidate.regretSeconds + question.promptTokens / prefill;
    if (best !== undefined && best.choice.seconds <= seconds) continue;
    best = {
      choice: { neuron: candidate.neuron, reason: "cold", seconds, cold: true },
      loadSeconds: candidate.loadSeconds,
    };
  }
  return best;
}

function choice(candidate: WarmCandidate, reason: RouteReason, seconds: number): RouteChoice {
  return { neuron: candidate.neuron, reason, seconds, cold: candidate.loadingSeconds > 0 };
}
