import type { JsonObject } from "../chat/types.ts";

/** Prefixes of items' ids, as OpenAI names them. */
const PREFIXES: ReadonlyMap<string, string> = new Map([
  ["message", "msg"],
  ["reasoning", "rs"],
  ["function_call", "fc"],
  ["function_call_output", "fco"],
  ["custom_tool_call", "ctc"],
  ["custom_tool_call_output", "ctco"],
]);
const OTHER_PREFIX = "item";

/**
 * A request's items as they are listed and referred to later: each with a type, an id, and messages with parts and a
 * status.
 */
export function toStoredItems(
  items: readonly JsonObject[],
  newId: (prefix: string) => string,
): readonly JsonObject[] {
  return items.map((item) => {
    const type = typeof item["type"] === "string" ? item["type"] : "message";
    const given = item["id"];
    const id =
      typeof given === "string" && given !== "" ? given : newId(PREFIXES.get(type) ?? OTHER_PREFIX);
    return type === "message" ? { ...toMessage(item), id } : { ...item, id, type };
  });
}

function toMessage(item: JsonObject): JsonObject {
  const content = item["content"];
  const partType = item["role"] === "assistant" ? "output_text" : "input_text";
  const parts = typeof content === "string" ? [{ type: partType, text: content }] : content;
  return { ...item, type: "message", status: item["status"] ?? "completed", content: parts };
}
