/** The JSON text in front of the input's characters, as upstreams write it, with or without spaces. */
const HEAD = /^\s*\{\s*"input"\s*:\s*"/;
/** Longer than any way to write the head; what is longer and does not match is something else. */
const HEAD_LENGTH_MAX = 256;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/**
 * Reads the free text of a custom tool out of the arguments `{"input":"…"}` of the function that stands for it, as they
 * come in pieces. A model that wrote no such JSON gets all that it wrote taken as the input, at the end.
 */
export class CustomInputReader {
  #state: "head" | "text" | "after" | "raw" = "head";
  /** What is not decided yet: the head, an escape that was cut, or everything in state "raw". */
  #held = "";

  /** Takes the next piece and returns the text that it gave. */
  push(piece: string): string {
    if (this.#state === "after" || piece === "") return "";
    this.#held += piece;
    if (this.#state === "head") this.#readHead();
    return this.#state === "text" ? this.#readText() : "";
  }

  /** The rest, once no more arguments come. */
  end(): string {
    const held = this.#held;
    this.#held = "";
    const wasText = this.#state === "text" || this.#state === "after";
    this.#state = "after";
    return wasText ? "" : readRaw(held);
  }

  #readHead(): void {
    const match = HEAD.exec(this.#held);
    if (match !== null) {
      this.#state = "text";
      this.#held = this.#held.slice(match[0].length);
    } else if (this.#held.length > HEAD_LENGTH_MAX) {
      this.#state = "raw";
    }
  }

  #readText(): string {
    const source = this.#held;
    let text = "";
    let from = 0;
    for (;;) {
      const stop = nextSpecial(source, from);
      text += source.slice(from, stop);
      from = stop;
      if (stop === source.length) break;
      if (source[stop] === '"') {
        this.#state = "after";
        from = source.length;
        break;
      }
      const escaped = readEscape(source, stop);
      if (escaped === undefined) break;
      text += escaped.text;
      from += escaped.length;
    }
    this.#held = source.slice(from);
    return text;
  }
}

function nextSpecial(source: string, from: number): number {
  for (let index = from; index < source.length; index++) {
    const character = source[index];
    if (character === '"' || character === "\\") return index;
  }
  return source.length;
}

/** Undefined while an escape is not whole; both halves of a character beyond the basic plane are one escape. */
function readEscape(
  source: string,
  at: number,
): { readonly text: string; readonly length: number } | undefined {
  const kind = source[at + 1];
  if (kind === undefined) return undefined;
  if (kind !== "u") return { text: ESCAPES.get(kind) ?? kind, length: 2 };
  const unit = readUnit(source, at);
  if (unit === undefined) return undefined;
  const isHigh = unit >= 0xd800 && unit < 0xdc00;
  if (!isHigh) return { text: String.fromCharCode(unit), length: 6 };
  const next = source.slice(at + 6, at + 8);
  if (!"\\u".startsWith(next)) return { text: String.fromCharCode(unit), length: 6 };
  const low = readUnit(source, at + 6);
  if (low === undefined) return undefined;
  const isLow = low >= 0xdc00 && low < 0xe000;
  if (!isLow) return { text: String.fromCharCode(unit), length: 6 };
  return { text: String.fromCharCode(unit, low), length: 12 };
}

/** The UTF-16 unit of `\uXXXX`; undefined while its digits are not all there. */
function readUnit(source: string, at: number): number | undefined {
  if (source.length < at + 6) return undefined;
  const unit = Number.parseInt(source.slice(at + 2, at + 6), 16);
  // U+FFFD for digits that are none, as broken text is shown everywhere.
  return Number.isNaN(unit) ? 0xfffd : unit;
}

/** Arguments of another form: a string, an object with the input further behind, or no JSON at all. */
function readRaw(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "string") return value;
    const input = typeof value === "object" && value !== null && "input" in value && value.input;
    return typeof input === "string" ? input : text;
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof RangeError) return text;
    throw thrown;
  }
}
