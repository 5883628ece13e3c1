import type { CliCommand } from "../frame/cli-command.ts";
import { findFlag, shortFlags } from "../frame/strict-args.ts";

/** A word that may stand where the cursor is, and what it is for. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What fits at the cursor: words of ours, or whatever files there are. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  readonly files: boolean;
}

/** Names that only a running gateway knows; empty where none answers. */
export interface KnownNames {
  models(): Promise<readonly Candidate[]>;
  neurons(): Promise<readonly Candidate[]>;
}

type Kind = "models" | "neurons" | "files" | readonly string[] | undefined;

const NOTHING: Completion = { candidates: [], files: false };
const FILES: Completion = { candidates: [], files: true };
const FILE_WORDS: ReadonlySet<string> = new Set(["file", "other", "path"]);

/**
 * What may stand in place of the last word of a command line, which comes without the program's name.
 *  1. a command, also the second word of one
 *  2. the value of the flag before it, or behind its own equals sign
 *  3. a flag, where it begins with a dash
 *  4. what the command takes at this place; flags where it takes nothing more
 */
export async function listCandidates(
  words: readonly string[],
  { commands, names }: { readonly commands: readonly CliCommand[]; readonly names: KnownNames },
): Promise<Completion> {
  const shown = commands.filter((command) => !command.hidden);
  const last = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const path = before[0] === "help" ? before.slice(1) : before;
  const offered = path.length < 2 ? commandWords(shown, path, before.length === 0) : [];
  const found = findCommand(shown, path);
  // 1.
  if (found === undefined || before[0] === "help") return startingWith(last, offered);
  const { command, rest } = found;
  const place = readPlace(command, rest);
  // 2.
  if (place.flag !== undefined) {
    return await valuesFor(kindOfFlag(command, place.flag), { prefix: "", last, names });
  }
  const equals = last.startsWith("--") && !place.hasDashes ? last.indexOf("=") : -1;
  if (equals > 0) {
    const flag = findFlag(command, last.slice(0, equals));
    const kind = flag === undefined ? undefined : kindOfFlag(command, flag.name);
    return await valuesFor(kind, { prefix: last.slice(0, equals + 1), last, names });
  }
  // 3.
  if (last.startsWith("-") && !place.hasDashes) {
    return startingWith(last, flagWords(command, place.given));
  }
  // 4.
  const position = positionals(command)[place.words];
  if (position === undefined) {
    const flags = place.hasDashes ? [] : flagWords(command, place.given);
    return startingWith(last, [...(rest.length === 0 ? offered : []), ...flags]);
  }
  const own = await valuesFor(kindOfWord(command, position), { prefix: "", last, names });
  if (own.files || rest.length > 0 || offered.length === 0) return own;
  return { ...own, candidates: [...startingWith(last, offered).candidates, ...own.candidates] };
}

/** First words of commands, or the second words of those that begin with the given one. */
function commandWords(
  commands: readonly CliCommand[],
  path: readonly string[],
  isStart: boolean,
): Candidate[] {
  const byWord = new Map<string, string>();
  for (const { name, aliases, summary } of commands) {
    for (const text of [name, ...aliases]) {
      const parts = text.split(" ");
      const word = path[0] === undefined || path[0] === parts[0] ? parts[path.length] : undefined;
      const isWhole = parts.length === path.length + 1;
      if (word !== undefined && (isWhole || !byWord.has(word))) {
        byWord.set(word, isWhole ? summary : `cortex ${word} ...`);
      }
    }
  }
  const own = [...byWord].map(([value, description]) => ({ value, description }));
  return isStart ? [...own, ...PROGRAM_WORDS] : own;
}

const PROGRAM_WORDS: readonly Candidate[] = [
  { value: "help", description: "Show the commands, or one command's flags" },
  { value: "--help", description: "Show the commands" },
  { value: "-h", description: "Show the commands" },
  { value: "--version", description: "Print the version" },
  { value: "-V", description: "Print the version" },
];

/** The command that the words begin with, two words before one, and the words after it. */
function findCommand(
  commands: readonly CliCommand[],
  words: readonly string[],
): { readonly command: CliCommand; readonly rest: readonly string[] } | undefined {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(" ");
    const command = commands.find((one) => one.name === name || one.aliases.includes(name));
    if (words.length >= count && command !== undefined) {
      return { command, rest: words.slice(count) };
    }
  }
  return undefined;
}

interface Place {
  /** The flag that waits for its value. */
  readonly flag: string | undefined;
  readonly given: ReadonlySet<string>;
  /** How many words of the command's own there are already. */
  readonly words: number;
  readonly hasDashes: boolean;
}

function readPlace(command: CliCommand, rest: readonly string[]): Place {
  const given = new Set<string>();
  let flag: string | undefined;
  let [words, hasDashes] = [0, false];
  for (const token of rest) {
    if (flag !== undefined) flag = undefined;
    else if (hasDashes || !token.startsWith("-") || token === "-") words += 1;
    else if (token === "--") hasDashes = true;
    else {
      const found = findFlag(command, token.split("=")[0] ?? token);
      if (found === undefined) continue;
      given.add(found.name);
      if (found.def.type !== "boolean" && !token.includes("=")) flag = found.name;
    }
  }
  return { flag, given, words, hasDashes };
}

function flagWords(command: CliCommand, given: ReadonlySet<string>): Candidate[] {
  const flags = Object.entries(command.args)
    .filter(([, def]) => def.type !== "positional")
    .filter(([name]) => !given.has(name) || command.repeatable.includes(name));
  const help = "show flags, examples and exit codes";
  return [
    ...flags.flatMap(([name, def]) =>
      [`--${name}`, ...shortFlags(def)].map((value) => ({
        value,
        description: def.description ?? "",
      })),
    ),
    { value: "--help", description: help },
    { value: "-h", description: help },
  ];
}

function positionals(command: CliCommand): string[] {
  const entries = Object.entries(command.args);
  return entries.filter(([, def]) => def.type === "positional").map(([name]) => name);
}

function kindOfWord(command: CliCommand, name: string): Kind {
  const choices = command.choices[name];
  if (choices !== undefined) return choices;
  if (name === "model" || name === "target") return "models";
  if (name === "neuron") return "neurons";
  return FILE_WORDS.has(name) ? "files" : undefined;
}

function kindOfFlag(command: CliCommand, name: string): Kind {
  const def = command.args[name];
  if (def === undefined || def.type === "positional") return undefined;
  if (def.type === "enum") return def.options ?? [];
  const hint = "valueHint" in def ? def.valueHint : undefined;
  if (hint === "FILE" || hint === "FOLDER") return "files";
  if (name === "model") return "models";
  return name === "neuron" && hint === "NAME" ? "neurons" : undefined;
}

/** `prefix` is what stands before the value in the same word. */
async function valuesFor(
  kind: Kind,
  at: { readonly prefix: string; readonly last: string; readonly names: KnownNames },
): Promise<Completion> {
  const { prefix, last, names } = at;
  if (kind === undefined) return NOTHING;
  if (kind === "files") return FILES;
  const values =
    kind === "models"
      ? await names.models()
      : kind === "neurons"
        ? await names.neurons()
        : kind.map((value) => ({ value, description: "" }));
  return startingWith(
    last,
    values.map(({ value, description }) => ({ value: prefix + value, description })),
  );
}

function startingWith(last: string, candidates: readonly Candidate[]): Completion {
  return { candidates: candidates.filter(({ value }) => value.startsWith(last)), files: false };
}
