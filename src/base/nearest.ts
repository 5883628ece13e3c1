import { closest, distance } from "fastest-levenshtein";

/**
 * The candidate that somebody who typed `text` most likely meant:
 * 1. the only one that begins so; 2. the closest one, where at most a third of it differs, or one letter; 3. one with
 * two neighbouring letters swapped.
 */
export function findNearest(text: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined;
  // 1.
  const [begun, ...more] = candidates.filter((candidate) => candidate.startsWith(text));
  if (text.length > 1 && begun !== undefined && more.length === 0) return begun;
  // 2.
  const best = closest(text, candidates);
  const changesMax = Math.max(1, Math.floor(Math.max(text.length, best.length) / 3));
  if (distance(text, best) <= changesMax) return best;
  // 3.
  return candidates.find((candidate) => isSwapped(text, candidate));
}

function isSwapped(text: string, candidate: string): boolean {
  if (text.length !== candidate.length) return false;
  const at = [...text].findIndex((letter, index) => letter !== candidate[index]);
  const swapped = `${text.slice(0, at)}${text[at + 1]}${text[at]}${text.slice(at + 2)}`;
  return at >= 0 && swapped === candidate;
}
