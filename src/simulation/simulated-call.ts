import { ByteSpan } from "../base/byte-span.ts";
import { CortexError } from "../base/errors.ts";
import { formatSseData, SSE_DONE } from "../base/sse.ts";
import type { FailurePhase, UpstreamCall, UpstreamSink } from "../gateway/upstream/connection.ts";
import { statusOf, toErrorBody } from "../protocol/error-body.ts";
import type { SimulatedNeuron } from "./simulated-neuron.ts";
import { type Ask, countTokens } from "./specs.ts";

const STREAM_TYPE = "text/event-stream";
const JSON_TYPE = "application/json";
const PREAMBLE = formatChunk({ role: "assistant", content: "" });
const FIRST = formatChunk({ content: "Simu" });
const MIDDLE = formatChunk({ content: "lated" });
const REST = formatChunk({ content: " and so on" });
/** How an answer to be gone on with stands in a request: as the assistant's last words. */
const BEGUN = '{"role":"assistant","content":"Simu';
const BYTES_PER_TOKEN = 4;

/** A connection that is open, as the way to a neuron sees it. */
export interface OpenConnection {
  /** The other side, or the way to it, is gone. */
  break(why: string): void;
}

/** What arrives in the order in which it was sent: one direction of a connection. */
export interface Lane {
  /** When the last of it arrives. */
  arrivesMs: number;
}

/** The way between a gateway and a neuron, as a call sees it. */
export interface NeuronWay {
  readonly neuron: SimulatedNeuron;
  /** Does something on the other side after the way there, unless it is cut; in order on one lane. */
  travel(act: () => void, lane?: Lane): void;
  /** Tells the connection when it breaks, until the returned function is called. */
  watch(connection: OpenConnection): () => void;
}

/** What a neuron is asked on its data plane. */
export type CallWork =
  | {
      readonly kind: "chat";
      readonly ask: Ask;
      /** As the gateway calls it here. */
      readonly model: string;
      /** The answer was begun elsewhere. */
      readonly goesOn: boolean;
    }
  | { readonly kind: "tokenize"; readonly bytes: number };

/** Whether a body ends with the beginning of a simulated answer. */
export function isBegun(body: Buffer): boolean {
  return body.includes(BEGUN);
}

/** One inference request at a neuron, as its HTTP answer looks from the gateway. Owner of its place at the engine. */
export class SimulatedCall implements UpstreamCall {
  readonly #link: NeuronWay;
  readonly #work: CallWork;
  readonly #sink: UpstreamSink;
  readonly #lane: Lane = { arrivesMs: 0 };
  #isOpen = true;
  #hasBegun = false;
  #cancel: (() => void) | undefined;
  #forget: () => void = () => undefined;

  constructor(link: NeuronWay, options: { readonly work: CallWork; readonly sink: UpstreamSink }) {
    this.#link = link;
    this.#work = options.work;
    this.#sink = options.sink;
  }

  /** The request has arrived. */
  begin(): void {
    if (!this.#isOpen) return;
    const { neuron } = this.#link;
    this.#forget = this.#link.watch({
      break: (why) =>
        this.fail(
          new CortexError("neuron_failed", `Connection lost: ${why}`),
          this.#hasBegun ? "answer" : "request",
        ),
    });
    neuron.do(() => {
      if (!this.#isOpen) return;
      if (this.#work.kind === "chat") this.#submit(this.#work);
      else this.#tokenize(this.#work.bytes);
    });
  }

  fail(error: CortexError, phase: FailurePhase): void {
    if (!this.#close()) return;
    this.#leave();
    this.#sink.onFailure(error, phase);
  }

  abort(): void {
    if (!this.#close()) return;
    this.#leave();
  }

  pause(): void {
    // What a slow reader leaves unread waits in the neuron; nothing here is large enough to matter.
  }

  resume(): void {
    // See pause.
  }

  #tokenize(bytes: number): void {
    const tokens = Array.from({ length: Math.ceil(bytes / BYTES_PER_TOKEN) }, () => 1);
    this.#end(200, { type: JSON_TYPE, text: JSON.stringify({ tokens }) });
  }

  #submit({ ask, model, goesOn }: CallWork & { readonly kind: "chat" }): void {
    const { stream } = ask;
    try {
      this.#cancel = this.#link.neuron.submit(model, ask, {
        onFirstToken: () => {
          if (stream) this.#write(PREAMBLE + (goesOn ? REST : FIRST));
        },
        onMiddle: () => {
          if (stream) this.#write(goesOn ? REST : MIDDLE);
        },
        onEnd: ({ cachedTokens }) => {
          this.#cancel = undefined;
          this.#finish(ask, cachedTokens);
        },
        onFailure: (error) => {
          this.#cancel = undefined;
          this.#refuse(error);
        },
      });
    } catch (thrown) {
      if (!(thrown instanceof CortexError)) throw thrown;
      this.#refuse(thrown);
    }
  }

  #write(text: string): void {
    this.#link.travel(() => {
      if (!this.#isOpen) return;
      this.#head(200, STREAM_TYPE);
      this.#sink.onBody(spanOf(text));
    }, this.#lane);
  }

  #finish(ask: Ask, cachedTokens: number): void {
    const usage = {
      prompt_tokens: countTokens(ask.prompt),
      completion_tokens: ask.answer.tokens,
      prompt_tokens_details: { cached_tokens: cachedTokens },
    };
    const { stream } = ask;
    const last = stream
      ? formatSseData({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }) +
        formatSseData({ choices: [], usage }) +
        SSE_DONE
      : JSON.stringify({
          object: "chat.completion",
          choices: [
            {
              index: 0,
              message: { role: "assistant", content: "Simulated" },
              finish_reason: "stop",
            },
          ],
          usage,
        });
    this.#end(200, { type: stream ? STREAM_TYPE : JSON_TYPE, text: last });
  }

  #refuse(error: CortexError): void {
    const body = toErrorBody(error, "neuron");
    if (this.#hasBegun) this.#end(200, { type: STREAM_TYPE, text: formatSseData(body) });
    else {
      const text = JSON.stringify(body);
      this.#end(statusOf(error.code), {
        type: JSON_TYPE,
        text,
        retryAfter: error.retryAfterSeconds,
      });
    }
  }

  #end(
    status: number,
    answer: {
      readonly type: string;
      readonly text: string;
      readonly retryAfter?: number | undefined;
    },
  ): void {
    this.#link.travel(() => {
      if (!this.#isOpen) return;
      this.#head(status, answer.type, answer.retryAfter);
      this.#sink.onBody(spanOf(answer.text));
      if (this.#close()) this.#sink.onEnd();
    }, this.#lane);
  }

  #head(status: number, contentType: string, retryAfterSeconds?: number): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const retryAfter = retryAfterSeconds === undefined ? undefined : String(retryAfterSeconds);
    this.#sink.onHead({ status, contentType, retryAfter, contentLength: undefined });
  }

  /** The neuron sees the connection end, and frees the slot. */
  #leave(): void {
    const cancel = this.#cancel;
    this.#cancel = undefined;
    if (cancel === undefined) return;
    const { neuron } = this.#link;
    // A dead one has no slots; one that cannot be reached finds out by its own probes.
    neuron.do(cancel);
  }

  #close(): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    this.#forget();
    return true;
  }
}

function spanOf(text: string): ByteSpan {
  return new ByteSpan(Buffer.from(text));
}

function formatChunk(delta: Readonly<Record<string, string>>): string {
  return formatSseData({ choices: [{ index: 0, delta, finish_reason: null }] });
}
