const MEBIBYTE = 1024 * 1024;
/** Of the memory that a load leaves free on the host, its cache takes one part in so many; other models come later. */
const SHARE = 16;

/**
 * Host memory for prompts of one model that no slot holds: as much as is wanted, or less where the host has little
 * left. Whole MiB; no load is refused for it.
 */
export function promptCacheBytes(wantedMib: number, freeBytes: number): number {
  const shareMib = Math.floor(Math.max(0, freeBytes) / SHARE / MEBIBYTE);
  return Math.min(wantedMib, shareMib) * MEBIBYTE;
}
