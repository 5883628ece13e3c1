import { closest, distance } from "fastest-levenshtein";

/** The candidate that somebody who typed `text` most likely meant: at most a third of it differs, or one letter. */
export function findNearest(text: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined;
  const best = closest(text, candidates);
  const changesMax = Math.max(1, Math.floor(Math.max(text.length, best.length) / 3));
  return distance(text, best) <= changesMax ? best : undefined;
}
