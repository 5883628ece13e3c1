import { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../chat/types.ts";

/** A neuron's count as Anthropic's clients read it. Throws CortexError `neuron_failed` for what is none. */
export function countedTokens(body: JsonObject): JsonObject {
  const { input_tokens: tokens } = body;
  if (typeof tokens === "number") return { input_tokens: tokens };
  throw new CortexError("neuron_failed", "Upstream's answer holds no count of tokens");
}
