import type { Position } from "./toml-positions.ts";

/** Characters of a line that are shown; a longer one is cut around what is marked. */
const LINE_CHARS_MAX = 100;
/** What stays before the marked place where a line is cut. */
const BEFORE_CHARS = 40;

/** A line of a file with its number, and carets below the place; both indented. */
export function formatExcerpt(text: string, position: Position): readonly string[] {
  const line = text.split("\n")[position.line - 1]?.replace(/\r$/, "") ?? "";
  const shown = cutLine(line, position.column - 1);
  const room = Math.max(1, shown.text.length - shown.column);
  const carets = "^".repeat(Math.max(1, Math.min(position.length, room)));
  const number = String(position.line);
  // Tabs stay tabs, so that both lines are as wide.
  const gap = shown.text.slice(0, shown.column).padEnd(shown.column).replace(/[^\t]/g, " ");
  return [
    `    ${number} | ${shown.text}`.trimEnd(),
    `    ${" ".repeat(number.length)} | ${gap}${carets}`,
  ];
}

function cutLine(line: string, column: number): { readonly text: string; readonly column: number } {
  // Escape sequences of a broken file must not reach a terminal.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced.
  const plain = line.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\u{FFFD}");
  if (plain.length <= LINE_CHARS_MAX) return { text: plain, column };
  const from = Math.max(0, Math.min(column - BEFORE_CHARS, plain.length - LINE_CHARS_MAX));
  const [before, after] = [
    from > 0 ? "..." : "",
    from + LINE_CHARS_MAX < plain.length ? "..." : "",
  ];
  const text = `${before}${plain.slice(from, from + LINE_CHARS_MAX)}${after}`;
  return { text, column: column - from + before.length };
}
