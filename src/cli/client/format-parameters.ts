/** `135M`, `7.6B`, as model names write it. */
export function formatParameters(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(1)}B`;
  if (parameters >= 1e6) return `${Math.round(parameters / 1e6)}M`;
  return parameters > 0 ? `${Math.round(parameters / 1e3)}K` : "-";
}
