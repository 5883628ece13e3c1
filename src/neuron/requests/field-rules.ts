import { INTEGER_MAX } from "../../protocol/openai/chat-fields.ts";
import { invalid, isObject, type JsonObject, showValue } from "./json-body.ts";

/** Checks one field; returns what the engine gets, or undefined for nothing; throws invalid_request with the limit. */
export type FieldRule = (value: unknown, param: string) => unknown;

/** Fields that may be passed on, each with its rule. */
export type FieldRules = Readonly<Record<string, FieldRule>>;

/** The checked fields of a body. Unknown fields are dropped, and null means absent, as in OpenAI's own clients. */
export function pickFields(body: JsonObject, rules: FieldRules): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const name in body) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    const value = body[name];
    if (rule === undefined || value === null || value === undefined) continue;
    const checked = rule(value, name);
    if (checked !== undefined) picked[name] = checked;
  }
  return picked;
}

/** A number within limits, both included. */
export function number(min: number, max: number): FieldRule {
  return (value, param) => {
    if (typeof value === "number" && value >= min && value <= max) return value;
    throw invalid(
      param,
      `'${param}' is ${showValue(value)}, must be a number from ${min} to ${max}`,
    );
  };
}

/** A whole number within limits, both included. */
export function integer(min: number, max: number = INTEGER_MAX): FieldRule {
  return (value, param) => {
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return value;
    throw invalid(
      param,
      `'${param}' is ${showValue(value)}, must be an integer from ${min} to ${max}`,
    );
  };
}

/** true or false. */
export const boolean: FieldRule = (value, param) => {
  if (typeof value === "boolean") return value;
  throw invalid(param, `'${param}' is ${showValue(value)}, must be true or false`);
};

/** Text of bounded length. */
export function text(charactersMax: number): FieldRule {
  return (value, param) => {
    if (typeof value !== "string") {
      throw invalid(param, `'${param}' is ${showValue(value)}, must be a string`);
    }
    if (value.length > charactersMax) {
      throw invalid(
        param,
        `'${param}' has ${value.length} characters, at most ${charactersMax} are allowed`,
      );
    }
    return value;
  };
}

/** One of a few words. */
export function oneOf(...allowed: readonly string[]): FieldRule {
  return (value, param) => {
    if (typeof value === "string" && allowed.includes(value)) return value;
    throw invalid(param, `'${param}' is ${showValue(value)}, must be one of ${allowed.join(", ")}`);
  };
}

/** Any object; its depth was checked with the body. */
export function anyObject(entriesMax: number): FieldRule {
  return (value, param) => {
    if (!isObject(value)) {
      throw invalid(param, `'${param}' is ${showValue(value)}, must be an object`);
    }
    const entries = Object.keys(value).length;
    if (entries > entriesMax) {
      throw invalid(param, `'${param}' has ${entries} entries, at most ${entriesMax} are allowed`);
    }
    return value;
  };
}

/** An array of which each item keeps the rule. */
export function list(rule: FieldRule, itemsMax: number, itemsMin = 0): FieldRule {
  return (value, param) => {
    if (!Array.isArray(value)) {
      throw invalid(param, `'${param}' is ${showValue(value)}, must be an array`);
    }
    if (value.length > itemsMax || value.length < itemsMin) {
      throw invalid(
        param,
        `'${param}' has ${value.length} items, must have ${itemsMin} to ${itemsMax}`,
      );
    }
    return value.map((item, index) => rule(item, `${param}[${index}]`));
  };
}
