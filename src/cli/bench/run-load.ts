import type { Clock } from "../../base/clock.ts";
import { type BenchTarget, benchRequest, type Sample } from "./bench-request.ts";
import type { BenchDialect } from "./dialects.ts";

/** The load that each endpoint gets. */
export interface LoadShape {
  readonly dialect: BenchDialect;
  readonly clients: number;
  readonly promptTokens: number;
  readonly tokensMax: number;
  readonly timeoutMs: number;
}

/** When a round is over, whichever comes first. */
export interface RoundLimit {
  readonly requestsMax: number;
  /** 0 sets no limit. */
  readonly durationMs: number;
}

/** So that an endpoint which refuses at once is not asked a million times. */
const FAILURE_PAUSE_MS = 100;

/**
 * Keeps so many requests under way until the limit, and then lets those that run end.
 * @returns the seconds that it took; an abort ends it early, and what it cuts is no sample
 */
export async function runLoad(
  target: BenchTarget,
  load: {
    readonly shape: LoadShape;
    readonly limit: RoundLimit;
    readonly clock: Clock;
    readonly signal: AbortSignal;
    /** Numbers of prompts that nobody has had yet. */
    readonly nextNumber: () => number;
    readonly onSample: (sample: Sample) => void;
  },
): Promise<number> {
  const { shape, limit, clock, signal } = load;
  const startMs = clock.monotonicMs();
  let begun = 0;
  const isOver = () =>
    signal.aborted ||
    begun >= limit.requestsMax ||
    (limit.durationMs > 0 && clock.monotonicMs() - startMs >= limit.durationMs);
  const client = async () => {
    while (!isOver()) {
      begun += 1;
      const prompt = makePrompt(load.nextNumber(), shape.promptTokens);
      try {
        const sample = await benchRequest(target, {
          ...{ dialect: shape.dialect, timeoutMs: shape.timeoutMs, signal },
          ask: { model: target.model, prompt, tokensMax: shape.tokensMax },
          nowMs: () => clock.monotonicMs(),
        });
        load.onSample(sample);
        if (sample.error !== undefined) await clock.sleep(FAILURE_PAUSE_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: shape.clients }, client));
  return (clock.monotonicMs() - startMs) / 1000;
}

/** Common words are a token each in most vocabularies. */
const WORDS = ["time", "water", "house", "light", "people", "small", "green", "under", "four"];
/** What chat templates and the first line take. */
const FRAME_TOKENS = 24;

/** About so many tokens; the number at its beginning keeps caches of prompts out of the measurement. */
export function makePrompt(number: number, tokens: number): string {
  const count = Math.max(1, tokens - FRAME_TOKENS);
  const words = Array.from({ length: count }, (_, index) => WORDS[(index + number) % WORDS.length]);
  return `Request ${number}. Continue this text for as long as you can: ${words.join(" ")}`;
}
