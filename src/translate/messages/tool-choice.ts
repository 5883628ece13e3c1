import type { ChatToolChoice, JsonObject } from "../chat/types.ts";
import { invalid, optionalBoolean, requireObject, requireString } from "../request-fields.ts";
import type { Conversion } from "./conversion.ts";

/** How the tools of a chat request may be used. */
export interface ChatToolRules {
  readonly tool_choice?: ChatToolChoice;
  readonly parallel_tool_calls?: false;
}

const SHOWN_CHARACTERS_MAX = 64;

/** `known` are the client's names of the tools that go to the upstream. */
export function readToolChoice(
  value: unknown,
  { known, conversion }: { readonly known: ReadonlySet<string>; readonly conversion: Conversion },
): ChatToolRules {
  if (value === undefined || value === null) return {};
  const choice = requireObject(value, "tool_choice");
  const type = requireString(choice["type"], "tool_choice.type");
  const at = "tool_choice.disable_parallel_tool_use";
  const isSingle = optionalBoolean(choice["disable_parallel_tool_use"], at) === true;
  const chosen = readType(type, { choice, known, conversion });
  // Without tools there is nothing to choose, and upstreams refuse a choice of nothing.
  if (known.size === 0) return {};
  return {
    ...(chosen === undefined ? {} : { tool_choice: chosen }),
    ...(isSingle ? { parallel_tool_calls: false } : {}),
  };
}

function readType(
  type: string,
  {
    choice,
    known,
    conversion,
  }: {
    readonly choice: JsonObject;
    readonly known: ReadonlySet<string>;
    readonly conversion: Conversion;
  },
): ChatToolChoice | undefined {
  switch (type) {
    case "auto":
    case "none":
      return type;
    case "any":
      return "required";
    case "tool": {
      const name = requireString(choice["name"], "tool_choice.name");
      if (known.has(name)) {
        return { type: "function", function: { name: conversion.toolNames.toSafe(name) } };
      }
      if (known.size > 0) {
        const shown = name.slice(0, SHOWN_CHARACTERS_MAX);
        throw invalid(
          "tool_choice.name",
          `'tool_choice.name' is '${shown}', no tool of the request`,
        );
      }
      return undefined;
    }
    default: {
      const shown = type.slice(0, SHOWN_CHARACTERS_MAX);
      throw invalid(
        "tool_choice.type",
        `'tool_choice.type' is '${shown}', must be one of auto, any, tool, none`,
      );
    }
  }
}

/** The other way round. Undefined leaves it to the model, which is the default of both APIs. */
export function toToolChoice(
  value: unknown,
  { isSingle, conversion }: { readonly isSingle: boolean; readonly conversion: Conversion },
): JsonObject | undefined {
  const single = isSingle ? { disable_parallel_tool_use: true } : {};
  if (value === undefined || value === null || value === "auto") {
    return isSingle ? { type: "auto", ...single } : undefined;
  }
  if (value === "none") return { type: "none" };
  if (value === "required") return { type: "any", ...single };
  if (typeof value === "string") {
    const shown = value.slice(0, SHOWN_CHARACTERS_MAX);
    throw invalid(
      "tool_choice",
      `'tool_choice' is '${shown}', must be one of auto, none, required`,
    );
  }
  const choice = requireObject(value, "tool_choice");
  const type = requireString(choice["type"], "tool_choice.type");
  if (type === "allowed_tools") {
    const allowed = requireObject(choice["allowed_tools"], "tool_choice.allowed_tools");
    return toToolChoice(allowed["mode"], { isSingle, conversion });
  }
  const named = requireObject(choice["function"], "tool_choice.function");
  const name = requireString(named["name"], "tool_choice.function.name");
  return { type: "tool", name: conversion.toolNames.toSafe(name), ...single };
}
