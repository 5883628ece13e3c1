import { GRAMMAR_CHARACTERS_MAX } from "../../protocol/openai/chat-fields.ts";
import type { FieldRule } from "./field-rules.ts";
import { invalid, showValue } from "./json-body.ts";

/** The engine's parser recurses for each group: 60,000 of them end its process. */
const GROUP_DEPTH_MAX = 64;
const GROUPS_MAX = 4_096;
const REPETITIONS_MAX = 1_000;

/** A GBNF grammar of bounded size; whether it parses is the engine's to say. */
export const grammarRule: FieldRule = (value, param) => {
  if (typeof value !== "string") {
    throw invalid(param, `'${param}' is ${showValue(value)}, must be a string`);
  }
  if (value.length > GRAMMAR_CHARACTERS_MAX) {
    throw invalid(
      param,
      `'${param}' has ${value.length} characters, at most ${GRAMMAR_CHARACTERS_MAX} are allowed`,
    );
  }
  checkGroups(value, param);
  for (const [repetition] of value.matchAll(/\{[^{}]{0,64}\}/g)) {
    for (const count of repetition.match(/\d+/g) ?? []) {
      if (Number(count) > REPETITIONS_MAX) {
        throw invalid(
          param,
          `'${param}' repeats ${count} times, at most ${REPETITIONS_MAX} are allowed`,
        );
      }
    }
  }
  return value;
};

/** Counts brackets outside of literals, classes and comments. */
function checkGroups(grammar: string, param: string): void {
  let depth = 0;
  let groups = 0;
  const tokens = grammar.matchAll(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#[^\n]*|[()]/g);
  for (const [token] of tokens) {
    if (token === ")") depth -= 1;
    if (token !== "(") continue;
    depth += 1;
    groups += 1;
    if (depth > GROUP_DEPTH_MAX || groups > GROUPS_MAX) {
      throw invalid(
        param,
        `'${param}' has ${groups} groups, ${depth} deep: at most ${GROUPS_MAX}, ${GROUP_DEPTH_MAX} deep, are allowed`,
      );
    }
  }
}
