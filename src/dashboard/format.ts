const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes to two or three digits: 7.2 MiB, 24 GiB. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${formatNumber(value)} ${UNITS[unit]}`;
}

/** A figure without digits that nobody reads: 0.12, 3.4, 57. */
export function formatNumber(value: number): string {
  if (value === 0) return "0";
  if (value >= 100) return formatCount(Math.round(value));
  if (value >= 10) return String(Math.round(value));
  return value >= 1 ? String(Math.round(value * 10) / 10) : String(Math.round(value * 100) / 100);
}

/** A number of things, to the last one: 20,200. */
export function formatCount(count: number): string {
  // The browser's own formatter costs a tenth of a millisecond for each call.
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A number of things with their name: 1 neuron, 2 neurons. */
export function countThings(count: number, thing: string): string {
  return `${formatCount(count)} ${thing}${count === 1 ? "" : "s"}`;
}

/** A duration as people say it: 85 ms, 2.4 s, 3 min, 5 h, 2 d. */
export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${Math.round(Math.max(0, seconds) * 1_000)} ms`;
  if (seconds < 120) return `${formatNumber(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** How long something has gone on, in whole seconds at least: a row that just came shows 0 s. */
export function formatAge(seconds: number): string {
  return seconds < 1 ? "0 s" : formatSeconds(Math.floor(seconds));
}

/** A share of one in whole percent. */
export function formatShare(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** The time of day to the second, everywhere the same: 07:05:09. */
export function formatTime(ms: number): string {
  const date = new Date(ms);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** A figure that may not have been measured. */
export function formatOr<T>(value: T | null | undefined, format: (value: T) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}
