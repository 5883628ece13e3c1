/** A metric as prom-client's registry tells it. */
export interface Measured {
  readonly name: string;
  readonly values: readonly {
    readonly labels: Readonly<Partial<Record<string, string | number>>>;
    readonly value: number;
    readonly metricName?: string;
  }[];
}

/** What a metric of vLLM is made of, added up for each model. */
export interface VllmSource {
  readonly from: string;
  /** Only series with this label's value count. */
  readonly only?: readonly [label: string, value: string];
  /** A label that is told as well, under vLLM's name for it. */
  readonly by?: readonly [label: string, as: string];
  /** What is taken off. */
  readonly less?: string;
  /** What it is a part of. */
  readonly of?: string;
}

/** A metric of vLLM. */
export interface VllmMetric extends VllmSource {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
}

/** The metrics in Prometheus's text format, each with the model alone as a label, but for those that tell one more. */
export function renderAsVllm(
  measured: readonly Measured[],
  metrics: readonly VllmMetric[],
): string {
  const byName = new Map(measured.map((metric) => [metric.name, metric]));
  const lines: string[] = [];
  for (const metric of metrics) {
    lines.push(`# HELP ${metric.name} ${metric.help}`, `# TYPE ${metric.name} ${metric.type}`);
    const less = sumByModel(byName.get(metric.less ?? ""), metric);
    const whole = sumByModel(byName.get(metric.of ?? ""), metric);
    for (const [series, { suffix, labels, value }] of sumByModel(byName.get(metric.from), metric)) {
      const rest = Math.max(0, value - (less.get(series)?.value ?? 0));
      const total = whole.get(series)?.value ?? 0;
      const part = total > 0 ? Math.min(1, rest / total) : 0;
      const shown = metric.of === undefined ? rest : part;
      lines.push(`${metric.name}${suffix}{${labels}} ${shown}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

interface Sum {
  /** `_bucket`, `_sum` or `_count` of a histogram. */
  readonly suffix: string;
  readonly labels: string;
  value: number;
}

/** What a metric comes to for each model, and for each bucket of it, over all its other labels. */
function sumByModel(metric: Measured | undefined, { only, by }: VllmMetric): Map<string, Sum> {
  const sums = new Map<string, Sum>();
  for (const { labels, value, metricName } of metric?.values ?? []) {
    const { model, le } = labels;
    if (model === undefined) continue;
    if (only !== undefined && String(labels[only[0]]) !== only[1]) continue;
    const suffix = metricName?.slice(metric?.name.length) ?? "";
    const told = by === undefined ? "" : `,${by[1]}="${escapeLabel(String(labels[by[0]]))}"`;
    const bound = le === undefined ? "" : `,le="${le}"`;
    const text = `model_name="${escapeLabel(String(model))}"${told}${bound}`;
    const key = `${suffix} ${text}`;
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { suffix, labels: text, value });
    else sum.value += value;
  }
  return sums;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
