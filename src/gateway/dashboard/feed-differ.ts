import { FEED_SECTIONS, type FeedSection, type FeedState } from "../../protocol/feed.ts";

/** A value that is never changed once it was told, and its text. */
interface Told {
  readonly value: unknown;
  readonly text: string;
}

/** FeedChanges as JSON. */
interface Changes {
  /** Of all sections but one; undefined when nothing changed. */
  readonly main: string | undefined;
  /** Of {@link REST}, in pieces. */
  readonly rest: readonly string[];
}

/** The section that a page can do without while it is drawn for the first time. */
export const REST = "absent";
/** About 100 kB of text, parsed in a millisecond. */
const PIECE_VALUES = 500;

/**
 * Owner of what the feed's readers were told last, as text: each value is compared and written once, however many
 * read.
 */
export class FeedDiffer {
  readonly #told = new Map<FeedSection, Map<string, Told>>(
    FEED_SECTIONS.map((section) => [section, new Map()]),
  );

  /** The changes from what was told last to this state. */
  next(state: FeedState): Changes {
    const parts: string[] = [];
    let rest: string[] = [];
    for (const section of FEED_SECTIONS) {
      const { set, gone } = this.#nextSection(section, state[section]);
      if (section === REST) rest = formatPieces(set, gone);
      else if (set.length > 0 || gone.length > 0) parts.push(formatPart(section, set, gone));
    }
    return { main: parts.length === 0 ? undefined : `{${parts.join()}}`, rest };
  }

  /** All that was told, as the change from nothing, but for what {@link rest} holds. */
  snapshot(): string {
    const parts = FEED_SECTIONS.map(
      (section) => `"${section}":{"set":[${section === REST ? "" : this.#pairs(section).join()}]}`,
    );
    return `{${parts.join()}}`;
  }

  /** What a snapshot leaves out, as changes. */
  rest(): string[] {
    return formatPieces(this.#pairs(REST), []);
  }

  #pairs(section: FeedSection): string[] {
    return [...(this.#told.get(section) ?? [])].map(([key, { text }]) => formatPair(key, text));
  }

  /** Pairs that are new, and keys that are no more. */
  #nextSection(section: FeedSection, values: ReadonlyMap<string, unknown>) {
    const told = this.#told.get(section) ?? new Map<string, Told>();
    const set: string[] = [];
    for (const [key, value] of values) {
      const before = told.get(key);
      // Most values are the same objects as before.
      if (before !== undefined && before.value === value) continue;
      const text = JSON.stringify(value);
      told.set(key, { value, text });
      if (before?.text !== text) set.push(formatPair(key, text));
    }
    const gone = [...told.keys()].filter((key) => !values.has(key));
    for (const key of gone) told.delete(key);
    return { set, gone };
  }
}

function formatPart(section: FeedSection, set: readonly string[], gone: readonly string[]): string {
  const parts: string[] = [];
  if (set.length > 0) parts.push(`"set":[${set.join()}]`);
  if (gone.length > 0) parts.push(`"gone":${JSON.stringify(gone)}`);
  return `"${section}":{${parts.join()}}`;
}

/** Changes of {@link REST} that a reader takes in one by one without standing still. */
function formatPieces(set: readonly string[], gone: readonly string[]): string[] {
  const pieces = gone.length === 0 ? [] : [`{${formatPart(REST, [], gone)}}`];
  for (let from = 0; from < set.length; from += PIECE_VALUES) {
    pieces.push(`{${formatPart(REST, set.slice(from, from + PIECE_VALUES), [])}}`);
  }
  return pieces;
}

function formatPair(key: string, text: string): string {
  return `[${JSON.stringify(key)},${text}]`;
}
