/** What the examples of all routes speak of. */

/** A model that chats, one that makes vectors, and one that ranks. */
export const CHAT_MODEL = "qwen3-8b";
export const VECTOR_MODEL = "bge-m3";
export const RANK_MODEL = "bge-reranker-v2-m3";
/** What nobody has. */
export const NO_MODEL = "qwen3-9b";

/** A moment, in seconds. */
export const CREATED_SECONDS = 1_790_000_000;

/** A tool whose arguments even a small model fills in right. */
export const WEATHER_PARAMETERS = {
  type: "object",
  properties: { city: { type: "string", enum: ["Oslo", "Rome"] } },
  required: ["city"],
} as const;

export const WEATHER_ARGUMENTS = '{"city":"Oslo"}';
