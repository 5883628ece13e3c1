import type { ByteSpan } from "../../base/byte-span.ts";
import type { PrefixChange, Prefixes } from "../../protocol/prefixes.ts";
import type { BodyParts } from "./body-parts.ts";
import { KnownPrompt } from "./known-prompt.ts";
import { ModelKnowledge } from "./model-knowledge.ts";
import { NO_CHAIN, parseKey } from "./prompt-chain.ts";
import { type PromptForm, readPromptChain } from "./prompt-reader.ts";
import { readSessionKey, toSessionKey } from "./session-key.ts";
import { Sessions } from "./sessions.ts";

/** A request that is about to be routed. */
export interface AskedPrompt {
  /** The model as the fleet calls it. */
  readonly source: string;
  /** Undefined for requests that no cache of prompts bears on. */
  readonly form: PromptForm | undefined;
  readonly headerLines: ByteSpan;
  readonly body: ByteSpan;
  readonly parts: BodyParts;
  /** The name of its session where neither headers nor body tell it. */
  readonly session?: string | undefined;
  /** Tokens by the size of the body. */
  readonly promptTokens: number;
  readonly nowMs: number;
}

/** What an operator asks about: a prompt of which only the size is known. */
export type SamplePrompt = Pick<AskedPrompt, "source" | "promptTokens" | "nowMs">;

/** Prompts shorter than that have no beginning worth a look. */
const BODY_BYTES_MIN = 1_024;

/**
 * Owner of what this gateway believes of the caches in its fleet: who holds which beginnings of prompts, and who served
 * which session. Learned from what is sent, corrected by answers and by what neurons tell; the fleet says when a model
 * is gone from a neuron, and with it its caches.
 */
export class PrefixKnowledge {
  readonly #models = new Map<string, ModelKnowledge>();
  readonly #sessions = new Sessions();

  /** Reads what of a request bears on caches. */
  read(asked: AskedPrompt): KnownPrompt {
    const { source, form, headerLines, body, parts, promptTokens, nowMs } = asked;
    const model = this.#ensure(source);
    const named = asked.session;
    const long = form !== undefined && body.length >= BODY_BYTES_MIN;
    return new KnownPrompt({
      model,
      sessions: this.#sessions,
      chain: long ? readPromptChain(body, form, parts) : NO_CHAIN,
      session:
        named === undefined
          ? readSessionKey({ headerLines, body, parts }, model.seed)
          : toSessionKey(named, model.seed),
      promptTokens,
      nowMs,
    });
  }

  /** A prompt of that size; also for a request that has only one place to go. */
  sample({ source, promptTokens, nowMs }: SamplePrompt): KnownPrompt {
    return new KnownPrompt({
      model: this.#ensure(source),
      sessions: this.#sessions,
      chain: NO_CHAIN,
      session: undefined,
      promptTokens,
      nowMs,
    });
  }

  /** The model is not loaded there any more. */
  forget(neuron: string, source: string): void {
    this.#models.get(source)?.forget(neuron);
  }

  /** All that a neuron's caches hold: what is not named is not there. */
  replace(neuron: string, prefixes: readonly Prefixes[]): void {
    for (const model of this.#models.values()) model.forget(neuron);
    for (const { model, hashes } of prefixes) this.#learn(neuron, model, hashes);
  }

  /** What came to a neuron's caches and went. */
  apply(neuron: string, changes: readonly PrefixChange[]): void {
    for (const { model, reset, added, removed } of changes) {
      if (reset === true) this.forget(neuron, model);
      this.#models.get(model)?.find(neuron)?.prefixes.remove(parseKeys(removed));
      if (added.length > 0) this.#learn(neuron, model, added);
    }
  }

  #learn(neuron: string, source: string, hashes: readonly string[]): void {
    this.#ensure(source).ensure(neuron).learn(parseKeys(hashes));
  }

  #ensure(source: string): ModelKnowledge {
    let model = this.#models.get(source);
    if (model === undefined) {
      model = new ModelKnowledge(source);
      this.#models.set(source, model);
    }
    return model;
  }
}

function parseKeys(names: readonly string[]): number[] {
  return names.map(parseKey).filter((key) => key !== undefined);
}
