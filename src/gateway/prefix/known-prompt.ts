import { formatPrefixHeader } from "../../protocol/prefixes.ts";
import type { Prompt } from "../router/predict.ts";
import type { ModelKnowledge } from "./model-knowledge.ts";
import type { PendingPrefill, ReadingTime } from "./pending-prefill.ts";
import { endOfBeginning, formatKey, type PromptChain } from "./prompt-chain.ts";
import { toSessionKey } from "./session-key.ts";
import type { Sessions } from "./sessions.ts";

/** What is known of a request before it is routed. */
export interface PromptSource {
  readonly model: ModelKnowledge;
  readonly sessions: Sessions;
  readonly chain: PromptChain;
  readonly session: number | undefined;
  /** Tokens by the size of the body, where there is no chain. */
  readonly promptTokens: number;
  readonly nowMs: number;
}

/** Whom a request was sent to. */
export interface SentTo {
  readonly neuron: string;
  /** Tokens that its caches hold; unknown when 0. */
  readonly cacheTokens: number;
  /** Whether it says in every answer how much was cached; an API may count that and not tell. */
  readonly tellsCached: boolean;
  /** How fast it reads; a guess when absent. */
  readonly prefillTokensPerSecond?: number | undefined;
  /** When, if not when it was routed: a load may have come first. */
  readonly nowMs?: number;
}

/** What an answer says of the prompt. */
export interface PromptUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

/** Expectations below this say nothing of a cache. */
const EXPECTED_TOKENS_MIN = 256;
/** Below this part of what was expected, the replica has thrown something away. */
const LOST_PART = 0.5;
/** What an API's cache may hold is its own business; this bounds what is remembered of it. */
const CACHE_TOKENS_UNKNOWN = 1_000_000;

/** What a prompt has in common with others, as names that mean nothing else. */
export interface PromptTrace {
  readonly session: string | undefined;
  readonly prefix: string | undefined;
  readonly prefixTokens: number;
}

const NAME_RADIX = 36;

/** An attempt to have the prompt answered. */
interface Sent {
  readonly to: SentTo;
  /** How many beginnings were believed to be there before. */
  readonly held: number;
  /** When the longest of them had been used last. */
  readonly lastUse: number;
  /** Where it stands among what the neuron has yet to read. */
  readonly pending: PendingPrefill;
  readonly reading: ReadingTime;
}

/**
 * One request's prompt: what is known of it when it is routed, and what its answer teaches. Belongs to the request;
 * what is learned goes to the knowledge that all requests of the model share.
 */
export class KnownPrompt implements Prompt {
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Who served its session last. */
  readonly stickyTo: string | undefined;
  readonly #source: PromptSource;
  #sent: Sent | undefined;
  #counted = { tokens: 0, trust: 1, count: 1 };

  constructor(source: PromptSource) {
    const { model, chain, session, sessions, nowMs } = source;
    const { bytesPerToken, answerTokens } = model.figures;
    this.#source = source;
    this.promptTokens = chain.bytes > 0 ? chain.bytes / bytesPerToken : source.promptTokens;
    this.answerTokens = answerTokens;
    this.stickyTo = session === undefined ? undefined : sessions.find(session, nowMs);
  }

  /** Tokens of its beginning that the neuron's cache most likely holds; 0 also for fewer than `leastTokens`. */
  cachedTokens(neuron: string, leastTokens = 0): number {
    const { model, chain } = this.#source;
    const replica = model.find(neuron);
    if (replica === undefined || chain.keys.length === 0) return 0;
    const { trust } = replica;
    const least = leastTokens === 0 ? 0 : this.#countFor(leastTokens, trust);
    if (least > chain.keys.length) return 0;
    const held = replica.prefixes.count(chain, least);
    return held === 0 ? 0 : this.#tokensOf(held, trust);
  }

  /** How many beginnings are so many tokens; of a row of neurons the answer is mostly the same. */
  #countFor(tokens: number, trust: number): number {
    const { chain } = this.#source;
    const before = this.#counted;
    if (before.tokens === tokens && before.trust === trust) return before.count;
    let count = 1;
    while (count <= chain.keys.length && this.#tokensOf(count, trust) < tokens) count += 1;
    this.#counted = { tokens, trust, count };
    return count;
  }

  #tokensOf(count: number, trust: number): number {
    return (endOfBeginning(count - 1) / this.#source.model.figures.bytesPerToken) * trust;
  }

  /** Seconds that the neuron has yet to read of other prompts. */
  pendingSeconds(neuron: string): number {
    const { model, nowMs } = this.#source;
    return model.find(neuron)?.pending.seconds(nowMs) ?? 0;
  }

  /** Requests that came to the neuron lately. */
  requestsPerSecond(neuron: string): number {
    const { model, nowMs } = this.#source;
    return model.find(neuron)?.rate.perSecond(nowMs) ?? 0;
  }

  /** Its beginnings as neurons are told them; "" for a short one. */
  formatHeader(): string {
    const { keys } = this.#source.chain;
    return keys.length === 0 ? "" : formatPrefixHeader(keys.map(formatKey));
  }

  /** Its conversation and the beginning that it shares with others, for the log of requests: as hashes. */
  describe(): PromptTrace {
    const { model, chain, session } = this.#source;
    // What was in a cache before was in another prompt, too; of the first one nobody knows how it will go on.
    const shared = Math.max(1, this.#sent?.held ?? 0);
    const key = chain.keys[shared - 1];
    return {
      session: session?.toString(NAME_RADIX),
      prefix: key === undefined ? undefined : formatKey(key),
      prefixTokens: Math.floor(endOfBeginning(shared - 1) / model.figures.bytesPerToken),
    };
  }

  /** It goes to a neuron, which will have read it when the next request comes. */
  noteSent(to: SentTo): void {
    const { model, chain, session, sessions, nowMs } = this.#source;
    if (session !== undefined) sessions.note(session, to.neuron, nowMs);
    const replica = model.ensure(to.neuron);
    const at = { nowMs: to.nowMs ?? nowMs, tokensPerSecond: to.prefillTokensPerSecond };
    const uncached = Math.max(0, this.promptTokens - this.cachedTokens(to.neuron));
    const { pending, prefixes } = replica;
    const reading = pending.add(uncached, at);
    replica.rate.note(at.nowMs);
    if (chain.keys.length === 0) {
      this.#sent = { to, held: 0, lastUse: 0, pending, reading };
      return;
    }
    const held = prefixes.count(chain);
    const lastUse = prefixes.lastUse(chain.keys[held - 1]);
    this.#sent = { to, held, lastUse, pending, reading };
    const tokensMax = to.cacheTokens > 0 ? to.cacheTokens : CACHE_TOKENS_UNKNOWN;
    replica.use(chain.keys, tokensMax * model.figures.bytesPerToken);
  }

  /** It was answered; without usage nothing is learned. */
  noteAnswered(usage: PromptUsage | undefined): void {
    const { model, chain } = this.#source;
    if (usage === undefined) return;
    model.figures.note(chain.bytes, usage);
    const sent = this.#sent;
    const replica = sent === undefined ? undefined : model.find(sent.to.neuron);
    if (sent === undefined || replica === undefined || sent.held === 0) return;
    const expected = endOfBeginning(sent.held - 1) / model.figures.bytesPerToken;
    if (expected < EXPECTED_TOKENS_MIN) return;
    const part = Math.min(1, usage.cachedTokens / expected);
    if (!replica.noteTruth(part, sent.to.tellsCached)) return;
    if (part < LOST_PART) replica.prefixes.removeUntil(sent.lastUse);
  }

  /**
   * It failed before anything was answered, or its client left: what it would have left in a cache is not there, and
   * nobody reads it any more.
   */
  noteFailed(nowMs: number): void {
    const { model, chain } = this.#source;
    const sent = this.#sent;
    this.noteEnded(nowMs);
    this.#sent = undefined;
    if (sent === undefined) return;
    model.find(sent.to.neuron)?.prefixes.remove(chain.keys.slice(sent.held));
  }

  /** It is over there, however it went: the neuron has nothing of it to read. */
  noteEnded(nowMs: number): void {
    this.#sent?.pending.withdraw(this.#sent.reading, nowMs);
  }

  /** Its answer has a name by which the client may go on: where, is remembered. */
  noteResponse(id: string): void {
    const { model, sessions, nowMs } = this.#source;
    if (this.#sent === undefined) return;
    sessions.note(toSessionKey(id, model.seed), this.#sent.to.neuron, nowMs);
  }
}
