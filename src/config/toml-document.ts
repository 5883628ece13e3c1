import { parse } from "@iarna/toml";
import { CortexError } from "../base/errors.ts";
import { formatExcerpt } from "./excerpt.ts";
import {
  findPositions,
  type Position,
  type PositionPair,
  positionKey,
  type TomlPath,
} from "./toml-positions.ts";

/** A value that takes the place of the file's, and what gave it. */
export interface ConfigOverride {
  readonly path: TomlPath;
  readonly value: unknown;
  /** Named in errors instead of a place in the file, such as `--listen` or `CORTEX_GATEWAY__LISTEN`. */
  readonly origin: string;
}

/** Where a value comes from, as an error names it, with what the file has there. */
export interface Place {
  /** `file:line:column`, or the flag or variable. */
  readonly where: string;
  /** The line and a caret; empty for a flag or a variable. */
  readonly excerpt: readonly string[];
}

/** A parsed TOML text that knows where each of its keys stands. */
export class TomlDocument {
  /** Plain objects, arrays and values; the reader's own copy. */
  readonly data: Record<string, unknown>;
  readonly file: string;
  readonly #text: string;
  readonly #origins = new Map<string, string>();
  /** Tables that are there for an override alone, and what gave that. */
  readonly #made = new Map<string, string>();
  readonly #refused: string[] = [];
  #positions: Map<string, PositionPair> | undefined;

  /** Throws `invalid_config` with file, line and column where the text is not TOML. */
  constructor(text: string, options: { readonly file: string }) {
    this.file = options.file;
    this.#text = text;
    this.data = parsePlain(text, options.file);
  }

  /** Puts a command line's or the environment's value in the place of the file's. */
  override({ path, value, origin }: ConfigOverride): void {
    let table = this.data;
    for (const [index, step] of path.slice(0, -1).entries()) {
      if (table[step] === undefined) {
        table[step] = {};
        this.#made.set(positionKey(path.slice(0, index + 1)), origin);
      }
      const next = table[step];
      // A key of the wrong kind stays, so that its own error is reported.
      if (!isTable(next)) return;
      table = next;
    }
    table[path.at(-1) ?? ""] = value;
    this.#origins.set(positionKey(path), origin);
  }

  /** Errors that no key of the document has, such as variables that mean none; whole lines. */
  get refused(): readonly string[] {
    return this.#refused;
  }

  /** Adds to {@link refused}. */
  refuse(line: string): void {
    this.#refused.push(line);
  }

  /** Where a key or a value is, or the nearest table that contains it, or what has overridden it. */
  locate(path: TomlPath, what: "key" | "value"): Place {
    this.#positions ??= findPositions(this.#text);
    for (let length = path.length; length > 0; length--) {
      const key = positionKey(path.slice(0, length));
      const origin = this.#origins.get(key) ?? this.#made.get(key);
      if (origin !== undefined) return { where: origin, excerpt: [] };
      const pair = this.#positions.get(key);
      const position = length === path.length ? pair?.[what] : pair?.key;
      if (position !== undefined) return placeIn(this.file, { text: this.#text, position });
    }
    return { where: `${this.file}:1:1`, excerpt: [] };
  }

  /** `file:line`, a flag or a variable; undefined for a default. */
  findOrigin(path: TomlPath): string | undefined {
    this.#positions ??= findPositions(this.#text);
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(positionKey(path.slice(0, length)));
      if (origin !== undefined) return origin;
    }
    const pair = this.#positions.get(positionKey(path));
    return pair === undefined ? undefined : `${this.file}:${pair.key.line}`;
  }
}

function placeIn(file: string, at: { readonly text: string; readonly position: Position }): Place {
  const { line, column } = at.position;
  return { where: `${file}:${line}:${column}`, excerpt: formatExcerpt(at.text, at.position) };
}

function parsePlain(text: string, file: string): Record<string, unknown> {
  try {
    const plain = toPlain(parse(text));
    return isTable(plain) ? plain : {};
  } catch (error) {
    const { where, excerpt, what } = explainSyntaxError(error, { text, file });
    const line = `${where}: ${what}`;
    throw new CortexError("invalid_config", [`${file} is not TOML`, line, ...excerpt].join("\n"), {
      hint: "correct the TOML text there",
      figures: { errors: [line] },
    });
  }
}

/** The parser counts lines and columns from 0 and puts an excerpt of several lines into its message. */
function explainSyntaxError(
  error: unknown,
  source: { readonly text: string; readonly file: string },
): Place & { readonly what: string } {
  const found = error as {
    readonly line?: number;
    readonly col?: number;
    readonly message?: string;
  };
  const said = (found.message ?? String(error)).split(/ at row | at pos |\n/)[0] ?? "";
  const lineIndex = found.line ?? 0;
  // That a key is there already shows only at the end of its line.
  const line = said.startsWith("Can't redefine") ? source.text.split("\n")[lineIndex] : undefined;
  const [, gap = "", key = ""] = /^(\s*)([^=\r]*[^=\s])/.exec(line ?? "") ?? [];
  const position =
    key === ""
      ? { line: lineIndex + 1, column: (found.col ?? 0) + 1, length: 1 }
      : { line: lineIndex + 1, column: gap.length + 1, length: key.length };
  return { ...placeIn(source.file, { text: source.text, position }), what: explainParser(said) };
}

/** Paths of Windows are the usual reason for an escape that there is not, which the parser tells by its number. */
function explainParser(said: string): string {
  const code = /^Unknown escape character: (\d+)$/.exec(said)?.[1];
  if (code === undefined) return said;
  const letter = String.fromCharCode(Number(code));
  return `There is no escape \\${letter}; put text with backslashes in single quotes`;
}

/** Drops the parser's symbols and prototypes, which schema checks would trip over. */
function toPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toPlain);
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPlain(item)]));
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
