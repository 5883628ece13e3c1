import { type Static, Type as t } from "@sinclair/typebox";

/**
 * One line of a request log, which is JSON Lines: what a gateway was asked, without a word of what was said. Whoever
 * writes one writes these names; readers ignore others, and take lines in any order.
 */
export const RequestRecordSchema = t.Object({
  /** When it arrived, in milliseconds since the epoch. */
  time_ms: t.Number({ minimum: 0, maximum: 8.64e15 }),
  /** As the client named it. */
  model: t.String({ minLength: 1, maxLength: 256 }),
  prompt_tokens: t.Integer({ minimum: 0, maximum: 16_777_216 }),
  completion_tokens: t.Integer({ minimum: 0, maximum: 16_777_216 }),
  /** Whether it asked for a stream; true when left out. */
  stream: t.Optional(t.Boolean()),
  /** The same text for requests of one conversation, each of whose prompts goes on from the last one. */
  session: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
  /** The same text for prompts that begin alike, such as with an agent's tools. */
  prefix: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
  /** How many of the prompt's first tokens that beginning has. */
  prefix_tokens: t.Optional(t.Integer({ minimum: 0, maximum: 16_777_216 })),
});
export type RequestRecord = Static<typeof RequestRecordSchema>;

/** A line as a gateway writes it: what a replay reads, and how the request went. */
export interface LoggedRequest extends RequestRecord {
  readonly request: string;
  readonly endpoint: string | undefined;
  readonly neuron: string | undefined;
  /** Why that neuron. */
  readonly reason: string | undefined;
  readonly status: number;
  /** `ok`, `cancelled` or an error's code. */
  readonly outcome: string;
  readonly cached_tokens: number;
  readonly ttft_seconds: number | undefined;
  readonly seconds: number;
}
