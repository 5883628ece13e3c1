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
  if (value >= 100) return Math.round(value).toLocaleString("en");
  if (value >= 10) return String(Math.round(value));
  return value >= 1 ? String(Math.round(value * 10) / 10) : String(Math.round(value * 100) / 100);
}

/** A duration as people say it: 85 ms, 2.4 s, 3 min, 5 h, 2 d. */
export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${Math.round(Math.max(0, seconds) * 1_000)} ms`;
  if (seconds < 120) return `${formatNumber(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A share of one in whole percent. */
export function formatShare(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** A figure that may not have been measured. */
export function formatOr<T>(value: T | null | undefined, format: (value: T) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}
