import { type TSchema, Type as t } from "@sinclair/typebox";
import { CortexError } from "../base/errors.ts";
import type { JsonObject } from "./chat/types.ts";

/**
 * How deep a request may be nested. Real tool schemas stay below 30; what is far deeper would end a recursive reader
 * further down with a stack overflow.
 */
export const DEPTH_MAX = 256;

/** An error of the client's, in the words that it knows from OpenAI. `param` is a path such as `input[3].content`. */
export function invalid(param: string, message: string): CortexError {
  return new CortexError("invalid_request", message, { param });
}

/** What a JSON value is, for a message. */
export function describeType(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  if (typeof value === "number") return "a number";
  return typeof value === "string" ? "a string" : "a boolean";
}

function wrongType(param: string, expected: string, value: unknown): CortexError {
  const message = `Invalid type for '${param}': expected ${expected}, but got ${describeType(value)}`;
  return invalid(param, message);
}

/** Whether a value is an object with named fields, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an object; throws `invalid_request` for anything else. */
export function requireObject(value: unknown, param: string): JsonObject {
  if (!isJsonObject(value)) throw wrongType(param, "an object", value);
  return value;
}

/** The value as a string; throws `invalid_request` for anything else. */
export function requireString(value: unknown, param: string): string {
  if (typeof value !== "string") throw wrongType(param, "a string", value);
  return value;
}

/** The value as an array of at most `lengthMax`; throws `invalid_request` for anything else. */
export function requireArray(
  value: unknown,
  param: string,
  lengthMax = Number.MAX_SAFE_INTEGER,
): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(param, "an array", value);
  if (value.length > lengthMax) {
    const message = `Invalid '${param}': array too long, ${value.length} elements, the limit is ${lengthMax}`;
    throw invalid(param, message);
  }
  return value;
}

/** Undefined for what is absent or null; clients send null for "not set". */
export function optionalString(value: unknown, param: string): string | undefined {
  return value === undefined || value === null ? undefined : requireString(value, param);
}

/** Undefined for what is absent or null. */
export function optionalObject(value: unknown, param: string): JsonObject | undefined {
  return value === undefined || value === null ? undefined : requireObject(value, param);
}

/** Undefined for what is absent or null. */
export function optionalBoolean(value: unknown, param: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "boolean") throw wrongType(param, "a boolean", value);
  return value;
}

export interface NumberRange {
  readonly minimum: number;
  readonly maximum: number;
  readonly isInteger?: boolean;
}

/** The same as a schema. */
export function rangeSchema({ minimum, maximum, isInteger }: NumberRange): TSchema {
  return isInteger === true ? t.Integer({ minimum, maximum }) : t.Number({ minimum, maximum });
}

/** Undefined for what is absent or null. */
export function optionalNumber(
  value: unknown,
  param: string,
  range: NumberRange,
): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw wrongType(param, range.isInteger ? "an integer" : "a number", value);
  }
  if (range.isInteger && !Number.isInteger(value)) {
    throw invalid(param, `Invalid '${param}': expected an integer, but got ${value}`);
  }
  if (value < range.minimum || value > range.maximum) {
    const limits = `${range.minimum} to ${range.maximum}`;
    throw invalid(param, `Invalid '${param}': ${value} is outside ${limits}`);
  }
  return value;
}

/**
 * Throws `invalid_request` for a body that is nested deeper than {@link DEPTH_MAX} or holds text that is no Unicode:
 * half a surrogate pair has no form in UTF-8, and no upstream reads it.
 */
export function checkBody(body: JsonObject): void {
  checkValue(body, { path: [] });
}

function checkValue(value: unknown, { path }: { readonly path: string[] }): void {
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw halfSurrogate(value, path);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (path.length >= DEPTH_MAX) {
    const message = `Request is nested deeper than ${DEPTH_MAX} levels, the limit`;
    throw new CortexError("invalid_request", message, { param: path.slice(0, 3).join(".") });
  }
  for (const [name, child] of Object.entries(value)) {
    if (typeof child !== "string" && (typeof child !== "object" || child === null)) continue;
    path.push(name);
    checkValue(child, { path });
    path.pop();
  }
}

function halfSurrogate(text: string, path: readonly string[]): CortexError {
  const at = /[\uD800-\uDFFF]/u.exec(text)?.index ?? 0;
  const code = text.charCodeAt(at).toString(16);
  const message = `'${path.join(".")}' holds half of a surrogate pair, \\u${code} at character ${at}`;
  return invalid(path.join("."), message);
}
