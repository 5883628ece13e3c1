import type { Model } from "../../protocol/models.ts";

/** Reading weights: a cold disk's speed, and what a load costs besides. */
const LOAD_BYTES_PER_SECOND = 1e9;
const LOAD_SECONDS_BASE = 2;

/** Seconds of a load: as measured, else from the file's size. */
export function estimateLoadSeconds(report: Model): number {
  return report.load_seconds ?? LOAD_SECONDS_BASE + report.file_bytes / LOAD_BYTES_PER_SECOND;
}

/** Device memory of a model, as said or, before the first plan, from its file. */
export function estimateBytes(report: Model): number {
  const bytes = report.bytes;
  return bytes === undefined ? report.file_bytes : bytes.weights + bytes.context + bytes.compute;
}
