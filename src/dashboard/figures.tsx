import type { TotalsView } from "../protocol/feed.ts";
import {
  formatBytes,
  formatCount,
  formatNumber,
  formatOr,
  formatSeconds,
  formatShare,
} from "./format.ts";
import { store } from "./store.ts";

/** How far back a figure may lie that is shown as the newest: five minutes. */
const RECENT_SAMPLES = 60;

/** The newest figures, as of the last five seconds. */
export function Figures() {
  const gateway = store.gateway.read("gateway");
  const samples = store.history.list().slice(-RECENT_SAMPLES);
  const sample = samples.at(-1);
  // Percentiles are of those seconds in which somebody asked.
  const asked = samples.findLast(({ ttft_p50_seconds }) => ttft_p50_seconds !== null);
  const cached = samples.findLast(({ cached_share }) => cached_share !== null);
  const figures: readonly (readonly [name: string, value: string])[] = [
    ["Tokens/s", formatOr(sample?.completion_rate, formatNumber)],
    ["Requests/s", formatOr(sample?.requests_rate, formatNumber)],
    ["First token, median", formatOr(asked?.ttft_p50_seconds, formatSeconds)],
    ["First token, 95 %", formatOr(asked?.ttft_p95_seconds, formatSeconds)],
    ["In flight", formatOr(gateway?.in_flight, formatCount)],
    ["Waiting", formatOr(gateway?.waiting, formatCount)],
    ["Loading", formatOr(gateway?.loads, formatCount)],
    ["Prompt from cache", formatOr(cached?.cached_share, formatShare)],
    ["Memory used", formatOr(sample?.used_bytes, formatBytes)],
  ];
  return (
    <>
      <dl class="panel figures" aria-label="Now">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class={value === "–" || value === "0" ? "quiet" : undefined}>{value}</dd>
          </div>
        ))}
      </dl>
      {gateway !== undefined && <Totals totals={gateway.totals} />}
    </>
  );
}

/** The counters of /metrics. */
function Totals({ totals }: { totals: TotalsView }) {
  const counted: readonly (readonly [count: number, name: string])[] = [
    [totals.requests, "requests"],
    [totals.failed, "failed"],
    [totals.prompt_tokens, "prompt tokens"],
    [totals.cached_prompt_tokens, "of them from caches"],
    [totals.completion_tokens, "answer tokens"],
    [totals.cold_starts, "cold starts"],
    [totals.evictions, "evictions"],
  ];
  return (
    <p class="totals">
      <span>Since the start</span>
      {counted.map(([count, name]) => (
        <span key={name}>
          {name} <span class="figure">{formatCount(count)}</span>
        </span>
      ))}
    </p>
  );
}
