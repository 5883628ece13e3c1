import { parse } from "@iarna/toml";
import { CortexError } from "../base/errors.ts";
import { findPositions, type PositionPair, positionKey, type TomlPath } from "./toml-positions.ts";

/** A value that takes the place of the file's, and the flag that gave it. */
export interface ConfigOverride {
  readonly path: TomlPath;
  readonly value: unknown;
  /** Named in errors instead of a place in the file, such as `--listen`. */
  readonly flag: string;
}

/** A parsed TOML text that knows where each of its keys stands. */
export class TomlDocument {
  /** Plain objects, arrays and values; the reader's own copy. */
  readonly data: Record<string, unknown>;
  readonly file: string;
  readonly #text: string;
  readonly #flags = new Map<string, string>();
  #positions: Map<string, PositionPair> | undefined;

  /** Throws `invalid_config` with file, line and column where the text is not TOML. */
  constructor(text: string, options: { readonly file: string }) {
    this.file = options.file;
    this.#text = text;
    this.data = parsePlain(text, options.file);
  }

  /** Puts a command line's value in the place of the file's. */
  override({ path, value, flag }: ConfigOverride): void {
    let table = this.data;
    for (const step of path.slice(0, -1)) {
      table[step] ??= {};
      const next = table[step];
      // A key of the wrong kind stays, so that its own error is reported.
      if (!isTable(next)) return;
      table = next;
    }
    table[path.at(-1) ?? ""] = value;
    this.#flags.set(positionKey(path), flag);
  }

  /** `file:line:column` of a key or a value, of the nearest table that contains it, or the flag that set it. */
  locate(path: TomlPath, what: "key" | "value"): string {
    this.#positions ??= findPositions(this.#text);
    for (let length = path.length; length > 0; length--) {
      const flag = this.#flags.get(positionKey(path.slice(0, length)));
      if (flag !== undefined) return flag;
      const pair = this.#positions.get(positionKey(path.slice(0, length)));
      const position = length === path.length ? pair?.[what] : pair?.key;
      if (position !== undefined) return `${this.file}:${position.line}:${position.column}`;
    }
    return `${this.file}:1:1`;
  }
}

function parsePlain(text: string, file: string): Record<string, unknown> {
  try {
    const plain = toPlain(parse(text));
    return isTable(plain) ? plain : {};
  } catch (error) {
    throw new CortexError("invalid_config", describeSyntaxError(error, file), {
      hint: "Correct the TOML text there",
    });
  }
}

/** The parser counts lines and columns from 0 and puts an excerpt of several lines into its message. */
function describeSyntaxError(error: unknown, file: string): string {
  const { line, col, message } = error as {
    readonly line?: number;
    readonly col?: number;
    readonly message?: string;
  };
  const text = (message ?? String(error)).split(/ at row | at pos |\n/)[0];
  return `${file}:${(line ?? 0) + 1}:${(col ?? 0) + 1}: ${text}`;
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
