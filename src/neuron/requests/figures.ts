import type { RequestFigures } from "../models/model.ts";
import { isObject, type JsonObject } from "./json-body.ts";

/** The engine's figures of an ended request, after neuron.h; undefined when there are none. */
export function readFigures(raw: unknown): RequestFigures | undefined {
  if (!isObject(raw) || !isObject(raw["usage"])) return undefined;
  const { usage } = raw;
  const details = isObject(usage["prompt_tokens_details"]) ? usage["prompt_tokens_details"] : {};
  return {
    promptTokens: numberOf(usage, "prompt_tokens"),
    cachedTokens: numberOf(details, "cached_tokens"),
    completionTokens: numberOf(usage, "completion_tokens"),
    prefillMs: numberOf(raw, "prefill_ms"),
    decodeMs: numberOf(raw, "decode_ms"),
    queueMs: numberOf(raw, "queue_ms"),
    draftedTokens: numberOf(raw, "drafted_tokens"),
    acceptedTokens: numberOf(raw, "accepted_tokens"),
    finish: readFinish(raw["finish_reason"]),
  };
}

/** A call of a tool is an end of the model's own choice. */
function readFinish(reason: unknown): RequestFigures["finish"] {
  if (reason === "length") return "length";
  return reason === "stop" || reason === "tool_calls" ? "stop" : undefined;
}

function numberOf(fields: JsonObject, key: string): number {
  const value = fields[key];
  return typeof value === "number" ? value : 0;
}
