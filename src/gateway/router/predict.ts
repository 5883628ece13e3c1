/** A replica that serves, or is being loaded, and can take the request. */
export interface WarmCandidate {
  readonly neuron: string;
  /** Requests of this gateway and of others that run or wait there. */
  readonly inFlight: number;
  readonly slots: number;
  readonly prefillTokensPerSecond: number | undefined;
  readonly decodeTokensPerSecond?: number | undefined;
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
  readonly decodeTokensPerSecond?: number | undefined;
  readonly loadSeconds: number;
  /** What unloading others to make room will cost those who want them again, in seconds. */
  readonly regretSeconds: number;
}

/** What of a request bears on how long its first token takes. */
export interface Prompt {
  /** All of its tokens, estimated. */
  readonly promptTokens: number;
  /**
   * How many of its first tokens a neuron's cache holds; fewer than `leastTokens` may be told as none. Nobody knows of
   * any when absent.
   */
  cachedTokens?(neuron: string, leastTokens?: number): number;
  /** Seconds that a neuron has yet to read of prompts that were sent there before. */
  pendingSeconds?(neuron: string): number;
  /** Requests for the model that came to a neuron lately, in a second. */
  requestsPerSecond?(neuron: string): number;
  /** Tokens that its answer will have, which matters where neurons differ in speed; 0 leaves that out. */
  readonly answerTokens?: number;
}

/** What a candidate's predicted seconds are made of. */
export interface Prediction {
  readonly neuron: string;
  /** Wait for a slot, and for prompts that are read before. */
  readonly queueSeconds: number;
  /** Rest of a load that is on its way, or the whole of one that would have to begin. */
  readonly loadSeconds: number;
  /** Reading what of the prompt is not cached, were nobody else there. */
  readonly prefillSeconds: number;
  /** What the prefill is multiplied by for those who are there, or are expected. */
  readonly crowding: number;
  /** What the answer takes longer than on the fastest neuron, where it is much slower. */
  readonly decodeSeconds: number;
  /** What those will wait whose models have to go. */
  readonly regretSeconds: number;
  readonly cachedTokens: number;
  /** All of it. */
  readonly seconds: number;
}

/**
 * Weight of the cost that a request puts on others; without it the rule is selfish and 1.3 times
 * worse (simulated).
 */
const CROWDING = 6;
/** Weight of the requests that are expected while the prompt is read: the next turns of those who were there. */
const EXPECTED = 2;
/** A speed to start from while nobody has measured one. */
const PREFILL_TOKENS_PER_SECOND_GUESS = 1_000;
/** A duration to start from while nobody has measured one. */
const SERVICE_SECONDS_GUESS = 4;
/** Measured speeds of equal neurons differ by this much with their load. */
const DECODE_FACTOR_MIN = 2;
/**
 * How much a second of the answer counts against one before it. With all of it the fast nodes are crowded and the first
 * token comes a quarter later (simulated).
 */
const DECODE_WEIGHT = 0.3;

/** What one warm candidate's seconds are made of. `fastest` is the best decode speed among all candidates. */
export function predictWarm(
  candidate: WarmCandidate,
  prompt: Prompt,
  options: { readonly fastest?: number } = {},
): Prediction {
  const { neuron, inFlight, slots, loadingSeconds } = candidate;
  const { promptTokens } = prompt;
  const known = prompt.cachedTokens?.(neuron) ?? 0;
  // While it loads its cache is empty.
  const cachedTokens = loadingSeconds > 0 ? 0 : Math.max(0, Math.min(known, promptTokens));
  const ahead = inFlight - slots + 1;
  const service = candidate.serviceSeconds ?? SERVICE_SECONDS_GUESS;
  const slotSeconds = ahead > 0 ? (ahead * service) / slots : 0;
  // Whatever speed was believed, nothing is left to read where nobody is.
  const pendingSeconds = inFlight > 0 ? (prompt.pendingSeconds?.(neuron) ?? 0) : 0;
  const queueSeconds = slotSeconds + pendingSeconds;
  const prefill = candidate.prefillTokensPerSecond ?? PREFILL_TOKENS_PER_SECOND_GUESS;
  const prefillSeconds = (promptTokens - cachedTokens) / prefill;
  const expected = (prompt.requestsPerSecond?.(neuron) ?? 0) * prefillSeconds;
  const crowding = 1 + (CROWDING * inFlight) / slots + EXPECTED * expected;
  const decodeSeconds = predictDecode(candidate, prompt, options.fastest ?? 0);
  return {
    neuron,
    queueSeconds,
    loadSeconds: loadingSeconds,
    prefillSeconds,
    crowding,
    decodeSeconds,
    regretSeconds: 0,
    cachedTokens,
    seconds: loadingSeconds + queueSeconds + prefillSeconds * crowding + decodeSeconds,
  };
}

/** The same for a neuron that would have to load the model. */
export function predictCold(
  candidate: ColdCandidate,
  prompt: Prompt,
  options: { readonly fastest?: number } = {},
): Prediction {
  const { neuron, loadSeconds, regretSeconds } = candidate;
  const prefill = candidate.prefillTokensPerSecond ?? PREFILL_TOKENS_PER_SECOND_GUESS;
  const prefillSeconds = prompt.promptTokens / prefill;
  const decodeSeconds = predictDecode(candidate, prompt, options.fastest ?? 0);
  return {
    neuron,
    queueSeconds: 0,
    loadSeconds,
    prefillSeconds,
    crowding: 1,
    decodeSeconds,
    regretSeconds,
    cachedTokens: 0,
    seconds: loadSeconds + regretSeconds + prefillSeconds + decodeSeconds,
  };
}

/** The best decode speed that was measured, 0 when none was. */
export function fastestDecode(
  candidates: readonly Pick<WarmCandidate, "decodeTokensPerSecond">[],
): number {
  let fastest = 0;
  for (const { decodeTokensPerSecond } of candidates) {
    if (decodeTokensPerSecond !== undefined && decodeTokensPerSecond > fastest) {
      fastest = decodeTokensPerSecond;
    }
  }
  return fastest;
}

function predictDecode(
  { decodeTokensPerSecond: speed }: Pick<WarmCandidate, "decodeTokensPerSecond">,
  { answerTokens = 0 }: Prompt,
  fastest: number,
): number {
  if (speed === undefined || answerTokens === 0 || speed * DECODE_FACTOR_MIN > fastest) return 0;
  return DECODE_WEIGHT * (answerTokens / speed - answerTokens / fastest);
}
