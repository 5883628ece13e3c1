import type { Place } from "./json-cursor.ts";

/** Members of a request's body that say what its prompt is and whose it is. */
export const BODY_PARTS = [
  "messages",
  "tools",
  "system",
  "input",
  "instructions",
  "prompt",
  "metadata",
  "session_id",
  "conversation",
  "prompt_cache_key",
  "previous_response_id",
] as const;

/** Where they are; null counts as absent. */
export type BodyParts = { readonly [name in (typeof BODY_PARTS)[number]]?: Place };

/** The first byte of `null`. */
export const NULL_BYTE = 110;
