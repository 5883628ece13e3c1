import type { PredictionParts } from "../../protocol/status.ts";

/** What predicted seconds are made of, as a sum of those that count. */
export function describeParts(parts: PredictionParts | undefined): string {
  if (parts === undefined) return "-";
  const { queue_seconds, load_seconds, prefill_seconds, decode_seconds, regret_seconds } = parts;
  const said = [
    [queue_seconds, `queue ${queue_seconds.toFixed(1)}`],
    [load_seconds, `load ${load_seconds.toFixed(1)}`],
    [prefill_seconds, `prefill ${prefill_seconds.toFixed(1)} x ${parts.crowding.toFixed(1)}`],
    [decode_seconds, `decode ${decode_seconds.toFixed(1)}`],
    [regret_seconds, `regret ${regret_seconds.toFixed(1)}`],
  ] as const;
  const texts = said.filter(([seconds]) => seconds > 0).map(([, text]) => text);
  return texts.join(" + ") || "0.0";
}
