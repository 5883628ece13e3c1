import type { JsonObject } from "../chat/types.ts";
import { isJsonObject } from "../request-fields.ts";

/**
 * A call's arguments as Anthropic's input, which is an object always. What a model wrote is not always JSON; a slip of
 * it must end neither the answer nor a later conversation, so it is kept as it is, under a name.
 */
export function parseToolInput(value: unknown): JsonObject {
  if (isJsonObject(value)) return value;
  if (typeof value !== "string" || value.trim() === "") return {};
  try {
    const parsed: unknown = JSON.parse(value);
    return isJsonObject(parsed) ? parsed : { arguments: value };
  } catch {
    // No JSON, as said above.
    return { arguments: value };
  }
}
