import {
  Counter,
  Histogram,
  type MetricObjectWithValues,
  type MetricType,
  type MetricValue,
  type MetricValueWithName,
  type Registry,
} from "prom-client";

/** One time series of a counter. */
export interface CounterSeries {
  add(count: number): void;
}

/** One time series of a histogram. */
export interface HistogramSeries {
  observe(value: number): void;
}

type Labels<L extends string> = Readonly<Record<L, string>>;

class CounterChild<L extends string> implements CounterSeries {
  value = 0;
  constructor(readonly labels: Labels<L>) {}

  add(count: number): void {
    this.value += count;
  }
}

/** A counter whose series are bound once and then cost an addition; prom-client hashes the labels at every use. */
export class BoundCounter<L extends string> extends Counter<L> {
  readonly #children: CounterChild<L>[] = [];

  /** The series of these labels; ask once and keep it. */
  bind(labels: Labels<L>): CounterSeries {
    const child = new CounterChild(labels);
    this.#children.push(child);
    return child;
  }

  override async get(): Promise<MetricObjectWithValues<MetricValue<L>>> {
    const own = await super.get();
    const bound = this.#children.map(({ labels, value }) => ({ labels: { ...labels }, value }));
    return { ...own, values: [...own.values, ...bound] };
  }
}

class HistogramChild<L extends string> implements HistogramSeries {
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(
    readonly labels: Labels<L>,
    readonly bounds: readonly number[],
  ) {
    this.counts = new Float64Array(bounds.length);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    const { bounds, counts } = this;
    for (let index = 0; index < bounds.length; index += 1) {
      if (value > (bounds[index] as number)) continue;
      counts[index] = (counts[index] as number) + 1;
      return;
    }
  }
}

// The types declare an enum that the package does not have at run time; the text is what it prints.
const HISTOGRAM = "histogram" as unknown as MetricType.Histogram;

type Printed<L extends string> = Omit<MetricObjectWithValues<MetricValueWithName<L>>, "collect">;

interface HistogramConfiguration<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: L[];
  readonly buckets: number[];
  readonly registers: Registry[];
}

/** A histogram whose series are bound once; see {@link BoundCounter}. All observations go through series. */
export class BoundHistogram<L extends string> extends Histogram<L> {
  readonly #children: HistogramChild<L>[] = [];
  readonly #configuration: HistogramConfiguration<L>;

  constructor(configuration: HistogramConfiguration<L>) {
    super(configuration);
    this.#configuration = configuration;
  }

  /** The series of these labels; ask once and keep it. */
  bind(labels: Labels<L>): HistogramSeries {
    const child = new HistogramChild(labels, this.#configuration.buckets);
    this.#children.push(child);
    return child;
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<L>>> {
    // prom-client's own expects fields of its own accumulators in each value.
    return { ...(await this.getForPromString()), collect: () => undefined };
  }

  /** What prom-client's registry asks for. */
  async getForPromString(): Promise<Printed<L>> {
    const { name, help } = this.#configuration;
    const values = this.#children.flatMap((child) => this.#valuesOf(child));
    return { name, help, type: HISTOGRAM, aggregator: "sum", values };
  }

  #valuesOf(child: HistogramChild<L>): MetricValueWithName<L>[] {
    const { name, buckets } = this.#configuration;
    const { labels, sum, count } = child;
    const values: MetricValueWithName<L>[] = [];
    let cumulated = 0;
    for (const [index, bound] of buckets.entries()) {
      cumulated += child.counts[index] ?? 0;
      values.push({
        metricName: `${name}_bucket`,
        labels: withBound(labels, bound),
        value: cumulated,
      });
    }
    values.push({ metricName: `${name}_bucket`, labels: withBound(labels, "+Inf"), value: count });
    values.push({ metricName: `${name}_sum`, labels: { ...labels }, value: sum });
    values.push({ metricName: `${name}_count`, labels: { ...labels }, value: count });
    return values;
  }
}

/** `le` is a label of every bucket that prom-client's types do not know. */
function withBound<L extends string>(labels: Labels<L>, bound: number | string) {
  return { ...labels, le: bound } as MetricValueWithName<L>["labels"];
}
