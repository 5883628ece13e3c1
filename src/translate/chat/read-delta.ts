import { isJsonObject } from "../request-fields.ts";
import type { ChatDelta, ChatToolCallDelta, JsonObject } from "./types.ts";

/** Where the last piece of a tool call belonged, for upstreams that leave indices out. */
export interface ToolPositions {
  last: number;
  lastId: string | undefined;
}

const EMPTY: ChatDelta = {};
/** An answer does not call more; an index far beyond would make others keep room for what never comes. */
const TOOL_INDEX_MAX = 1_023;

/**
 * A delta as the types promise it; the same object where it already is. Fields of a wrong type are left out, thinking
 * under its newer name becomes `reasoning_content`, tool calls get indices.
 */
export function normaliseDelta(delta: unknown, positions: ToolPositions): ChatDelta {
  if (!isJsonObject(delta)) return EMPTY;
  const { content, reasoning_content: reasoning, refusal, tool_calls: calls } = delta;
  const isNormal =
    isTextOrNothing(content) &&
    isTextOrNothing(reasoning) &&
    isTextOrNothing(refusal) &&
    (delta["reasoning"] === undefined || delta["reasoning"] === null) &&
    (calls === undefined || calls === null);
  if (isNormal) return delta as ChatDelta;
  const thought = typeof reasoning === "string" ? reasoning : delta["reasoning"];
  const pieces = Array.isArray(calls)
    ? calls.filter(isJsonObject).map((call) => readPiece(call, positions))
    : [];
  return {
    ...(delta["role"] === undefined ? {} : { role: "assistant" as const }),
    ...(typeof content === "string" ? { content } : {}),
    ...(typeof thought === "string" ? { reasoning_content: thought } : {}),
    ...(typeof refusal === "string" ? { refusal } : {}),
    ...(pieces.length === 0 ? {} : { tool_calls: pieces }),
  };
}

function isTextOrNothing(value: unknown): boolean {
  return typeof value === "string" || value === undefined || value === null;
}

/** Without an index, an id that was not there before begins the next call. */
function readPiece(call: JsonObject, positions: ToolPositions): ChatToolCallDelta {
  const id = typeof call["id"] === "string" && call["id"] !== "" ? call["id"] : undefined;
  const given = call["index"];
  let index = Math.max(0, positions.last);
  if (typeof given === "number" && Number.isInteger(given) && given >= 0) {
    index = Math.min(given, TOOL_INDEX_MAX);
  } else if (positions.last < 0 || (id !== undefined && id !== positions.lastId)) {
    index = positions.last + 1;
  }
  positions.last = index;
  if (id !== undefined) positions.lastId = id;
  const called = isJsonObject(call["function"]) ? call["function"] : {};
  const { name, arguments: text } = called;
  const fields = {
    ...(typeof name === "string" && name !== "" ? { name } : {}),
    ...(typeof text === "string"
      ? { arguments: text }
      : isJsonObject(text)
        ? { arguments: JSON.stringify(text) }
        : {}),
  };
  return {
    index,
    ...(id === undefined ? {} : { id, type: "function" as const }),
    function: fields,
  };
}
