import type { StreamEvent } from "../event-stream.ts";
import type { Ask, Reply } from "../reply.ts";
import type { Answer } from "../target.ts";

/** How one dialect says what all can say. */
export interface Dialect {
  readonly name: "chat" | "messages" | "responses";
  readonly path: string;
  /** Headers that its clients send. */
  readonly headers: Readonly<Record<string, string>>;
  /** The request's body. */
  write(ask: Ask, model: string): Readonly<Record<string, unknown>>;
  /** Reads a whole answer; throws where it breaks the dialect. */
  readWhole(body: Readonly<Record<string, unknown>>): Reply;
  /** Reads a stream; throws where it breaks the dialect's grammar. */
  readStream(events: readonly StreamEvent[]): Reply;
  /** Throws unless the answer is an error in this dialect's envelope; returns what it says. */
  readError(answer: Answer): DialectError;
}

/** What an error says; "" for a code that the dialect does not have. */
export interface DialectError {
  readonly type: string;
  readonly code: string;
  readonly message: string;
}
