import type { ArgDef, ArgsDef } from "citty";
import { CortexError } from "../../base/errors.ts";
import { findNearest } from "../../base/nearest.ts";

/** What a command accepts. */
export interface ArgumentRules {
  readonly name: string;
  readonly args: ArgsDef;
  /** Flags that may be given several times; their values arrive as one text, see {@link splitRepeated}. */
  readonly repeatable: readonly string[];
}

/** What stands between the values of a repeated flag; no path, address or name holds it. */
const REPEAT_SEPARATOR = "\u001F";

/**
 * Checks a command's arguments, which citty does not: unknown flags, missing and superfluous values and words. Returns
 * them in the one form `--flag=value` that citty cannot misread, words last. Throws `usage`.
 */
export function toStrictArgs(command: ArgumentRules, rawArgs: readonly string[]): string[] {
  const flags = new Map<string, string[]>();
  const words: string[] = [];
  const rest = [...rawArgs];
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    if (token === "--") {
      words.push(...rest.splice(0));
    } else if (token.startsWith("-") && token !== "-") {
      const flag = readFlag(command, token, rest);
      const values = flags.get(flag.name) ?? [];
      if (values.length > 0 && !command.repeatable.includes(flag.name)) {
        throw usageError(command, `The flag --${flag.name} was given twice: it takes one value`);
      }
      flags.set(flag.name, [...values, flag.value]);
    } else {
      words.push(token);
    }
  }
  checkWords(command, words);
  const given = [...flags].map(([name, values]) => `--${name}=${values.join(REPEAT_SEPARATOR)}`);
  return [...given, "--", ...words];
}

/** A `usage` error that names the command's help. */
export function usageError(command: ArgumentRules, message: string, hint?: string): CortexError {
  return new CortexError("usage", message, { hint: hint ?? `cortex ${command.name} --help` });
}

/** The values of a repeatable flag, in order. */
export function splitRepeated(value: string | undefined): readonly string[] {
  return value === undefined ? [] : value.split(REPEAT_SEPARATOR);
}

/** The one-letter forms of a flag, with their dash. */
export function shortFlags(def: ArgDef): readonly string[] {
  const alias = "alias" in def ? def.alias : undefined;
  return [alias ?? []].flat().map((letter) => `-${letter}`);
}

function readFlag(
  command: ArgumentRules,
  token: string,
  rest: string[],
): { readonly name: string; readonly value: string } {
  const equals = token.indexOf("=");
  const written = equals < 0 ? token : token.slice(0, equals);
  const attached = equals < 0 ? undefined : token.slice(equals + 1);
  const found = findFlag(command, written);
  if (found === undefined) throw unknownFlag(command, written);
  const { name, def, isNegated } = found;
  if (def.type === "boolean") {
    if (attached !== undefined)
      throw usageError(command, `Cannot read ${token}: ${written} takes no value`);
    return { name, value: isNegated ? "false" : "true" };
  }
  const value = attached ?? takeValue(rest);
  if (value === undefined || value === "") {
    throw usageError(command, `Cannot read ${written}: it needs a ${def.valueHint ?? "value"}`);
  }
  const allowed = def.type === "enum" ? (def.options ?? []) : [];
  if (allowed.length > 0 && !allowed.includes(value)) {
    const choice = allowed.join(", ");
    throw usageError(command, `Cannot read ${written} ${value}: it must be one of ${choice}`);
  }
  return { name, value };
}

/** The flag that is written so, with one dash or two; `--no-` before a boolean's name counts. */
export function findFlag(
  command: ArgumentRules,
  written: string,
): { readonly name: string; readonly def: ArgDef; readonly isNegated: boolean } | undefined {
  for (const [name, def] of Object.entries(command.args)) {
    if (def.type === "positional") continue;
    if (written === `--${name}` || shortFlags(def).includes(written)) {
      return { name, def, isNegated: false };
    }
    if (def.type === "boolean" && written === `--no-${name}`) {
      return { name, def, isNegated: true };
    }
  }
  return undefined;
}

/** A following flag is not a value: `--host --json` has forgotten one. A negative number is. */
function takeValue(rest: string[]): string | undefined {
  const next = rest[0];
  if (next === undefined || (/^-./.test(next) && !/^-\d/.test(next))) return undefined;
  return rest.shift();
}

function unknownFlag(command: ArgumentRules, written: string): CortexError {
  const flags = Object.entries(command.args).filter(([, def]) => def.type !== "positional");
  const near = findNearest(written, [...flags.map(([name]) => `--${name}`), "--help"]);
  const hint = near === undefined ? undefined : `cortex ${command.name} ${near}`;
  const known = flags.map(([name]) => `--${name}`).join(", ");
  return usageError(command, `Unknown flag ${written}: cortex ${command.name} has ${known}`, hint);
}

function checkWords(command: ArgumentRules, words: readonly string[]): void {
  const places = Object.entries(command.args).filter(([, def]) => def.type === "positional");
  const extra = words[places.length];
  if (extra !== undefined) {
    const takes = places.map(([name]) => name.toUpperCase()).join(" and ");
    const limit = takes === "" ? "no arguments" : `only ${takes}`;
    throw usageError(
      command,
      `Unexpected argument ${extra}: cortex ${command.name} takes ${limit}`,
    );
  }
  const missing = places.slice(words.length).find(([, def]) => def.required !== false);
  if (missing !== undefined) {
    throw usageError(
      command,
      `The argument ${missing[0].toUpperCase()} is missing: ${missing[1].description}`,
    );
  }
}
