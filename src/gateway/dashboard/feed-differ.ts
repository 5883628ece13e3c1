import { FEED_SECTIONS, type FeedSection, type FeedState } from "../../protocol/feed.ts";

/** A value that is never changed once it was told, and its text. */
interface Told {
  readonly value: unknown;
  readonly text: string;
}

/**
 * Owner of what the feed's readers were told last, as text: each value is compared and written once, however many
 * read.
 */
export class FeedDiffer {
  readonly #told = new Map<FeedSection, Map<string, Told>>(
    FEED_SECTIONS.map((section) => [section, new Map()]),
  );

  /** The FeedChange from what was told last to this state, as JSON; undefined when nothing changed. */
  next(state: FeedState): string | undefined {
    const parts: string[] = [];
    for (const section of FEED_SECTIONS) {
      const part = this.#nextSection(section, state[section]);
      if (part !== undefined) parts.push(`"${section}":${part}`);
    }
    return parts.length === 0 ? undefined : `{${parts.join()}}`;
  }

  /** All that was told, as the change from nothing. */
  snapshot(): string {
    const parts: string[] = [];
    for (const [section, told] of this.#told) {
      const pairs = [...told].map(([key, { text }]) => formatPair(key, text));
      parts.push(`"${section}":{"set":[${pairs.join()}]}`);
    }
    return `{${parts.join()}}`;
  }

  #nextSection(section: FeedSection, values: ReadonlyMap<string, unknown>): string | undefined {
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
    const parts: string[] = [];
    if (set.length > 0) parts.push(`"set":[${set.join()}]`);
    if (gone.length > 0) parts.push(`"gone":${JSON.stringify(gone)}`);
    return parts.length === 0 ? undefined : `{${parts.join()}}`;
  }
}

function formatPair(key: string, text: string): string {
  return `[${JSON.stringify(key)},${text}]`;
}
