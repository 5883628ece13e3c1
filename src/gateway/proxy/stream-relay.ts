import type { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import type { StreamTranslator } from "../../translate/dialects.ts";
import type { Seam } from "../../translate/stream/seam.ts";
import type { SentAnswer } from "../../translate/stream/sent-answer.ts";
import type { Usage } from "./usage.ts";

/** How a stream ended: with its end mark, with an error event, or neither. */
export type StreamEnding = "done" | "error" | "cut";

/** What is left to say when an upstream has closed its stream. */
export interface StreamFinish {
  readonly ending: StreamEnding;
  readonly usage: Usage | undefined;
  /** For the client before the end. */
  readonly text: string;
  /** What an error event said; undefined when the client has it already, as it came. */
  readonly error: CortexError | undefined;
  /** The Response object that ended a stream of that dialect. */
  readonly finalResponse?: JsonObject | undefined;
}

/** What the end of a stream depends on. */
export interface ClientWishes {
  readonly requestId: string;
  /** A chat client that asked for the counts gets them in a last chunk. */
  readonly includesUsage: boolean;
}

/** A streamed answer on its way from an upstream to a client. */
export interface StreamRelay {
  /** Takes the next piece and returns what may go on to the client now. */
  push(bytes: Uint8Array): Uint8Array | string | undefined;
  /** Whether what was handed on ends with a whole event. */
  readonly atBoundary: boolean;
  /** Tokens so far, estimated from the events. */
  readonly tokens: number;
  /** The upstream's stream is over. */
  finish(): StreamFinish;
  /** The text that ends a broken stream in the client's dialect; undefined when a plain error event does. */
  fail(error: CortexError): string | undefined;
  /** What the client has of the answer; undefined where nobody could go on with it. */
  readonly sent: SentAnswer | undefined;
  /** The end of a stream of which only the end mark was lost; undefined when more was. */
  conclude(wishes: ClientWishes): StreamFinish | undefined;
  /** What the stream of another neuron goes through that goes on with this answer. Only where `sent` is there. */
  goOn(seam: Seam, wishes: ClientWishes): StreamTranslator;
}
