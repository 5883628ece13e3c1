const STEPS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes in the unit that leaves one to three digits before the point: `98 MiB`, `1.4 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let step = 0;
  while (value >= 1000 && step < STEPS.length - 1) {
    value /= 1024;
    step++;
  }
  const digits = step === 0 || value >= 10 ? 0 : 1;
  return `${value.toFixed(digits)} ${STEPS[step]}`;
}

/** How long ago, in the largest unit that fits: `now`, `12 s`, `3 min`, `5 h`, `2 d`. */
export function formatAge(ageMs: number): string {
  const seconds = Math.floor(ageMs / 1000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
