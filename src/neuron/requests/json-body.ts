import { CortexError } from "../../base/errors.ts";

/** A JSON object as it was sent. */
export type JsonObject = { readonly [key: string]: unknown };

/** Deeper bodies are refused: recursive code below this one, in C++ too, must not run out of stack. */
const DEPTH_MAX = 64;

/** @throws CortexError unless the text is one JSON object of bounded depth */
export function parseJsonObject(text: string): JsonObject {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new CortexError("invalid_request", `Body is not valid JSON: ${detail.slice(0, 200)}`);
  }
  if (!isObject(parsed)) {
    throw new CortexError("invalid_request", `Body must be a JSON object, not ${kindOf(parsed)}`);
  }
  checkDepth(parsed, 1);
  return parsed;
}

/** Whether it is a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in a message: short, and never a whole prompt. */
export function showValue(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/** An invalid_request that names the field. */
export function invalid(param: string, message: string): CortexError {
  return new CortexError("invalid_request", message, { param });
}

function checkDepth(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth > DEPTH_MAX) {
    throw new CortexError(
      "invalid_request",
      `Body is nested too deep: more than ${DEPTH_MAX} levels`,
    );
  }
  if (Array.isArray(value)) {
    for (const item of value) checkDepth(item, depth + 1);
  } else {
    for (const key in value) checkDepth((value as JsonObject)[key], depth + 1);
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}
