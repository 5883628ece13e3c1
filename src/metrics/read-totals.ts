import type { Registry } from "prom-client";

/** Counters of the gateway since its start, over all models and neurons. */
export interface GatewayTotals {
  readonly requests: number;
  /** Those of them that were answered with 500 or more. */
  readonly failed: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly coldStarts: number;
  readonly evictions: number;
  readonly ttft: BucketCounts;
}

/** Observations of a histogram by bucket, not cumulated; those above the last bound are left out of `counts`. */
export interface BucketCounts {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly total: number;
}

type Values = Awaited<ReturnType<NonNullable<ReturnType<Registry["getSingleMetric"]>>["get"]>>;

/** Adds up what a scrape of the gateway would show now. */
export async function readTotals(registry: Registry): Promise<GatewayTotals> {
  const requests = await valuesOf(registry, "requests_total");
  const failed = requests.filter(({ labels }) => Number(labels["status"]) >= 500);
  const sum = async (name: string) => addUp(await valuesOf(registry, name));
  return {
    requests: addUp(requests),
    failed: addUp(failed),
    promptTokens: await sum("prompt_tokens_total"),
    cachedTokens: await sum("cached_prompt_tokens_total"),
    completionTokens: await sum("completion_tokens_total"),
    coldStarts: await sum("cold_starts_total"),
    evictions: await sum("evictions_total"),
    ttft: await readBuckets(registry, "time_to_first_token_seconds"),
  };
}

async function valuesOf(registry: Registry, name: string): Promise<Values["values"]> {
  const metric = registry.getSingleMetric(`cortex_${name}`);
  if (metric === undefined) throw new Error(`No metric cortex_${name}`);
  return (await metric.get()).values;
}

function addUp(values: Values["values"]): number {
  return values.reduce((sum, { value }) => sum + value, 0);
}

async function readBuckets(registry: Registry, name: string): Promise<BucketCounts> {
  const cumulated = new Map<number, number>();
  let total = 0;
  for (const item of await valuesOf(registry, name)) {
    const { metricName } = item as typeof item & { readonly metricName?: string };
    if (metricName === `cortex_${name}_count`) total += item.value;
    const bound = Number(item.labels["le"]);
    if (metricName !== `cortex_${name}_bucket` || !Number.isFinite(bound)) continue;
    cumulated.set(bound, (cumulated.get(bound) ?? 0) + item.value);
  }
  const bounds = [...cumulated.keys()].sort((a, b) => a - b);
  let before = 0;
  const counts = bounds.map((bound) => {
    const upTo = cumulated.get(bound) ?? 0;
    const count = upTo - before;
    before = upTo;
    return count;
  });
  return { bounds, counts, total };
}

/** What was observed between two readings of one histogram. */
export function subtractBuckets(now: BucketCounts, before: BucketCounts): BucketCounts {
  return {
    bounds: now.bounds,
    counts: now.counts.map((count, index) => count - (before.counts[index] ?? 0)),
    total: now.total - before.total,
  };
}

/**
 * The value below which the share of observations lies, taken as evenly spread within a bucket, as Prometheus does;
 * null without observations. What lies above the last bound counts as the last bound.
 */
export function estimateQuantile(
  { bounds, counts, total }: BucketCounts,
  share: number,
): number | null {
  if (total <= 0) return null;
  const rank = share * total;
  let below = 0;
  for (const [index, bound] of bounds.entries()) {
    const count = counts[index] ?? 0;
    if (count > 0 && below + count >= rank) {
      const from = index === 0 ? 0 : (bounds[index - 1] ?? 0);
      return from + ((bound - from) * (rank - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}
