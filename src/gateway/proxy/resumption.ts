import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import {
  continueRequest,
  isContinuable,
  planTakeUp,
} from "../../translate/chat/continue-request.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import { isJsonObject } from "../../translate/request-fields.ts";
import { Seam } from "../../translate/stream/seam.ts";
import { callJson } from "../upstream/json-call.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { AnswerMemory } from "./answer-memory.ts";
import type { Ask } from "./ask.ts";
import { type Attempt, planAttempt } from "./attempt.ts";
import { planTranslated } from "./plan-translated.ts";
import { readBody } from "./read-body.ts";
import type { ClientWishes, StreamRelay } from "./stream-relay.ts";

/** Counting the tokens of a long answer takes milliseconds. */
const COUNT_TIMEOUT_MS = 10_000;

export interface ResumptionOptions {
  readonly ask: Ask;
  readonly memory: AnswerMemory;
  readonly clock: Clock;
  /** The stream that broke off, at a boundary. */
  readonly relay: StreamRelay;
  /** When the client got the first byte. */
  readonly firstByteMs: number;
}

/**
 * An answer that broke off after its first token and goes on from another neuron, which is given what the client has as
 * the beginning of its own.
 */
export class Resumption {
  readonly firstByteMs: number;
  readonly wishes: ClientWishes;
  readonly #ask: Ask;
  readonly #memory: AnswerMemory;
  readonly #clock: Clock;
  readonly #body: JsonObject;
  #relay: StreamRelay;
  #seam: Seam | undefined;
  /** Words are taken up where they begin until a neuron wrote others. */
  #takesUpWords = true;

  constructor({ ask, memory, clock, relay, firstByteMs }: ResumptionOptions) {
    this.firstByteMs = firstByteMs;
    this.#ask = ask;
    this.#memory = memory;
    this.#clock = clock;
    this.#relay = relay;
    const body: JsonObject = { ...readBody(ask.body), model: ask.source };
    const options = body["stream_options"];
    const includesUsage = isJsonObject(options) && options["include_usage"] === true;
    this.wishes = { requestId: ask.requestId, includesUsage };
    const translated = planTranslated(ask, { kind: "neuron", id: ask.source, memory });
    this.#body = translated?.body ?? body;
  }

  /** The stream that the client has a part of. */
  get relay(): StreamRelay {
    return this.#relay;
  }

  /** Whether the last neuron wrote other words than the client has; it may be asked again. */
  get wasContradicted(): boolean {
    return this.#seam?.isBroken === true;
  }

  /** Takes up the stream that broke off now; false when nobody can go on with it. */
  take(relay: StreamRelay): boolean {
    this.#relay = relay;
    return relay.sent?.canGoOn === true && relay.atBoundary && isContinuable(this.#body);
  }

  /**
   * The request for the rest. Rejects with the signal's reason, and with what keeps the neuron from counting the tokens
   * that the client has.
   */
  async plan(upstream: Upstream, signal: AbortSignal): Promise<Attempt> {
    const { sent } = this.#relay;
    if (sent === undefined) throw new Error("Nothing was kept of an answer that goes on");
    if (this.wasContradicted) this.#takesUpWords = false;
    const { text, reasoning } = sent;
    const whole = { text, overlap: "" };
    const takeUp = this.#takesUpWords ? planTakeUp(sent, this.#body) : whole;
    const given = takeUp.text === "" ? "" : reasoning + takeUp.text;
    const tokens = given === "" ? 0 : await this.#count(given, { upstream, signal });
    const seam = new Seam({
      overlap: takeUp.overlap,
      prefillTokens: tokens,
      promptTokens: sent.promptTokens,
    });
    const request = continueRequest(this.#body, { text: takeUp.text, reasoning, tokens });
    const body = JSON.stringify({ ...request, model: upstream.idOf(this.#ask.source) });
    this.#seam = seam;
    const base = planAttempt(this.#ask, upstream, this.#memory);
    const openStream = () => this.#relay.goOn(seam, this.wishes);
    return { ...base, body, answer: { whole: refuseWhole, openStream } };
  }

  async #count(
    content: string,
    { upstream, signal }: { readonly upstream: Upstream; readonly signal: AbortSignal },
  ): Promise<number> {
    const path = upstream.pathOf("/v1/tokenize");
    const model = upstream.idOf(this.#ask.source);
    const answer = await callJson(
      upstream.origin,
      {
        method: "POST",
        path,
        headers: "Content-Type: application/json\r\n",
        body: JSON.stringify({ model, content, add_special: false }),
      },
      { timeoutMs: COUNT_TIMEOUT_MS, signal, clock: this.#clock },
    );
    const tokens = isJsonObject(answer.body) ? answer.body["tokens"] : undefined;
    if (answer.status === 200 && Array.isArray(tokens)) return tokens.length;
    throw new CortexError("neuron_failed", `${path} answered ${answer.status} without tokens`);
  }
}

function refuseWhole(): never {
  throw new CortexError("neuron_failed", "it answered whole where an answer goes on");
}
