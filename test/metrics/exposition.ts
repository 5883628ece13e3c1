/** A metric as a scrape tells it. */
export interface ScrapedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

export interface Sample {
  readonly name: string;
  /** As they are written, without `le`. */
  readonly labels: string;
  readonly labelNames: readonly string[];
  readonly bound: string | undefined;
  readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/g;

/** Reads Prometheus's text format; throws for what is none, and for samples without their HELP and TYPE before them. */
export function parseExposition(text: string): Map<string, ScrapedMetric> {
  const metrics = new Map<string, ScrapedMetric>();
  let help: readonly [string, string] | undefined;
  let current: ScrapedMetric | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "HELP") {
      help = [name, rest];
      continue;
    }
    if (kind === "TYPE") {
      if (help?.[0] !== name) throw new Error(`${name} has no HELP`);
      if (metrics.has(name)) throw new Error(`${name} comes twice`);
      current = { name, type: rest, help: help[1], samples: [] };
      metrics.set(name, current);
      continue;
    }
    const sample = parseSample(line);
    if (current === undefined || !belongsTo(sample.name, current)) {
      throw new Error(`${sample.name} has no TYPE before it`);
    }
    current.samples.push(sample);
  }
  return metrics;
}

function belongsTo(name: string, metric: ScrapedMetric): boolean {
  if (metric.type !== "histogram") return name === metric.name;
  return ["_bucket", "_sum", "_count"].some((suffix) => name === metric.name + suffix);
}

function parseSample(line: string): Sample {
  const [, name, labelText = "", value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || Number.isNaN(Number(value))) throw new Error(`Not a sample: ${line}`);
  const pairs = [...labelText.matchAll(LABEL)];
  if (pairs.map(([whole]) => whole).join("") !== labelText) throw new Error(`Labels: ${line}`);
  const own = pairs.filter(([, label]) => label !== "le");
  return {
    name,
    labels: own.map(([, label, text]) => `${label}=${text}`).join(","),
    labelNames: own.map(([, label = ""]) => label),
    bound: pairs.find(([, label]) => label === "le")?.[2],
    value: Number(value),
  };
}

/** Units that promtool wants replaced by their base. */
const OTHER_UNITS =
  /_(milliseconds|microseconds|nanoseconds|minutes|hours|days|kilobytes|megabytes|gigabytes|kib|mib|gib|bits|percent|ms|us|ns|kb|mb|gb)(_|$)/;

/** What `promtool check metrics` finds wrong, and what it cannot see in one scrape: nothing when all is well. */
export function lintMetrics(metrics: ReadonlyMap<string, ScrapedMetric>): string[] {
  return [...metrics.values()].flatMap((metric) => {
    const { name, type, help, samples } = metric;
    const found: string[] = [];
    if (help === "" || help === name) found.push(`${name}: no help`);
    if (type === "counter" && !name.endsWith("_total"))
      found.push(`${name}: a counter ends in _total`);
    if (type !== "counter" && name.endsWith("_total"))
      found.push(`${name}: _total is for counters`);
    if (/_(count|sum|bucket)$/.test(name)) found.push(`${name}: reserved ending`);
    if (!/^[a-z][a-z0-9_]*$/.test(name)) found.push(`${name}: not in snake case`);
    if (/(^|_)(counter|gauge|histogram|summary)(_|$)/.test(name))
      found.push(`${name}: names its type`);
    if (OTHER_UNITS.test(name)) found.push(`${name}: no base unit`);
    for (const label of new Set(samples.flatMap(({ labelNames }) => labelNames))) {
      if (!/^[a-z][a-z0-9_]*$/.test(label)) found.push(`${name}: label ${label}`);
    }
    const series = samples.map(({ name: own, labels, bound }) => `${own}{${labels}}${bound}`);
    if (new Set(series).size < series.length) found.push(`${name}: a series comes twice`);
    return [...found, ...lintHistogram(metric)];
  });
}

function lintHistogram({ name, type, samples }: ScrapedMetric): string[] {
  if (type !== "histogram") return [];
  const found: string[] = [];
  for (const labels of new Set(samples.map((sample) => sample.labels))) {
    const own = samples.filter((sample) => sample.labels === labels);
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`);
    const count = own.find((sample) => sample.name === `${name}_count`)?.value;
    const isRising = buckets.every(({ value }, index) => value >= (buckets[index - 1]?.value ?? 0));
    if (!isRising) found.push(`${name}{${labels}}: buckets fall`);
    const last = buckets.at(-1);
    if (last?.bound !== "+Inf" || last.value !== count) found.push(`${name}{${labels}}: no +Inf`);
    if (!own.some((sample) => sample.name === `${name}_sum`)) found.push(`${name}: no sum`);
  }
  return found;
}

/** How many series a scrape has. */
export function countSeries(metrics: ReadonlyMap<string, ScrapedMetric>): number {
  return [...metrics.values()].reduce((sum, { samples }) => sum + samples.length, 0);
}
