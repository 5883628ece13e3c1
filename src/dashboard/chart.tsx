import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import type { HistorySample } from "../protocol/feed.ts";
import { formatOr, formatTime } from "./format.ts";
import { store } from "./store.ts";

interface Line {
  readonly name: string;
  readonly field: keyof HistorySample;
  /** The name of a custom property of style.css. */
  readonly color: string;
}

/** One chart of the last hour. */
export interface Chart {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** Distances of the ticks; round decimal ones when left out. */
  readonly steps?: readonly number[];
  /** The upper end; what the values need when left out. */
  readonly top?: number;
}

const HEIGHT = 156;
/** Wide enough for "999 MiB". */
const AXIS_WIDTH = 62;
const AXIS_HEIGHT = 28;
/** Drawn a little before it is seen. */
const SIGHT_MARGIN = "200px";
const TICK_SPACE = { x: 64, y: 32 };
/** The shortest stretch of time that is drawn: what came in the first seconds is a corner, not the whole. */
const SECONDS_MIN = 300;
const TIME_STEPS = [60, 120, 300, 600, 900, 1_200, 1_800];
/** Above the highest value. */
const HEADROOM = 1.12;
/** Of 255: enough to see a hill, too little to hide the grid. */
const FILL_ALPHA = "1f";

/** The sample under the pointer, in all charts at once. */
const hovered = signal<number | null>(null);

type Plotter = typeof uPlot;

/** Half of the page's code: not asked for before a chart is in sight. */
const plotter = signal<Plotter | undefined>(undefined);
/** Why there are no charts, such as a gateway of another build. */
const failure = signal("");

async function loadPlotter(): Promise<void> {
  try {
    plotter.value = (await import("uplot")).default;
  } catch (thrown) {
    failure.value = `The charts cannot be loaded: ${String(thrown)}`;
  }
}

/** A chart that follows the history. */
export function ChartView({ chart }: { chart: Chart }) {
  const element = useRef<HTMLDivElement>(null);
  const view = useRef<PlotView | undefined>(undefined);
  const last = store.history.list().at(-1);
  useEffect(() => {
    if (element.current === null) return undefined;
    view.current = new PlotView(chart, element.current);
    return () => view.current?.stop();
  }, []);
  useEffect(() => view.current?.refresh(), [last, plotter.value]);
  return (
    <figure class="card">
      <Caption chart={chart} />
      {failure.value !== "" && <p class="cause">{failure.value}</p>}
      <div ref={element} class="plot" role="img" aria-label={`${chart.title}, the last hour`} />
    </figure>
  );
}

/**
 * The drawing of one chart. It is made when it comes into sight and kept up to date while it is there: six of them are
 * below the window's edge when the page opens.
 */
class PlotView {
  readonly #chart: Chart;
  readonly #parent: HTMLElement;
  readonly #left = new AbortController();
  readonly #sight: IntersectionObserver;
  readonly #size: ResizeObserver;
  #plot: uPlot | undefined;
  #isSeen = false;

  constructor(chart: Chart, parent: HTMLElement) {
    this.#chart = chart;
    this.#parent = parent;
    this.#sight = new IntersectionObserver(
      (entries) => {
        this.#isSeen = entries.some(({ isIntersecting }) => isIntersecting);
        this.refresh();
      },
      { rootMargin: SIGHT_MARGIN },
    );
    this.#sight.observe(parent);
    this.#size = new ResizeObserver(() =>
      this.#plot?.setSize({ width: parent.clientWidth, height: HEIGHT }),
    );
    this.#size.observe(parent);
    const onScheme = () => {
      this.#plot?.destroy();
      this.#plot = undefined;
      this.refresh();
    };
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", onScheme, { signal: this.#left.signal });
  }

  refresh(): void {
    if (!this.#isSeen) return;
    const data = toData(this.#chart);
    if (this.#plot !== undefined) this.#plot.setData(data);
    else if (plotter.value !== undefined) this.#plot = this.#draw(plotter.value, data);
    else void loadPlotter();
  }

  #draw(Plot: Plotter, data: uPlot.AlignedData): uPlot {
    return new Plot(toOptions(this.#chart, this.#parent), data, this.#parent);
  }

  stop(): void {
    this.#left.abort();
    this.#sight.disconnect();
    this.#size.disconnect();
    this.#plot?.destroy();
  }
}

/** The title and the values: those under the pointer, else the newest. */
function Caption({ chart }: { chart: Chart }) {
  const samples = store.history.list();
  const index = hovered.value;
  const sample = index === null ? samples.at(-1) : samples[index];
  return (
    <figcaption>
      <span class="chart-title">
        {chart.title}
        {index !== null && sample !== undefined && (
          <span class="quiet"> {formatTime(sample.at_ms)}</span>
        )}
      </span>
      <span class="keys">
        {chart.lines.map(({ name, field, color }) => (
          <span key={name} class={`key ${color.slice(2)}`}>
            {name} <span class="figure">{formatOr(sample?.[field], chart.format)}</span>
          </span>
        ))}
      </span>
    </figcaption>
  );
}

function toData(chart: Chart): uPlot.AlignedData {
  const samples = store.history.list();
  return [
    samples.map(({ at_ms }) => at_ms / 1_000),
    ...chart.lines.map(({ field }) => samples.map((sample) => sample[field])),
  ];
}

function toOptions(chart: Chart, parent: HTMLElement): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: color("--quiet"), font, ticks: { show: false } };
  const grid = { stroke: color("--line"), width: 1 };
  const { format, lines, steps, top } = chart;
  return {
    width: parent.clientWidth,
    height: HEIGHT,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, sync: { key: "history" } },
    hooks: {
      setCursor: [
        ({ cursor }) => {
          hovered.value = cursor.idx ?? null;
        },
      ],
    },
    scales: {
      x: { range: (_plot, first, last) => [Math.min(first, last - SECONDS_MIN), last] },
      y: { range: (_plot, _min, max) => [0, top ?? (max > 0 ? max * HEADROOM : 1)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: AXIS_HEIGHT,
        space: TICK_SPACE.x,
        incrs: TIME_STEPS,
        values: (_plot, times) => times.map((time) => formatTime(time * 1_000).slice(0, 5)),
      },
      {
        ...axis,
        grid,
        size: AXIS_WIDTH,
        space: TICK_SPACE.y,
        ...(steps === undefined ? {} : { incrs: [...steps] }),
        values: (_plot, values) => values.map(format),
      },
    ],
    series: [{}, ...lines.map((line, index) => toSeries(line, { isFirst: index === 0, color }))],
  };
}

function toSeries(
  line: Line,
  options: { readonly isFirst: boolean; readonly color: (name: string) => string },
): uPlot.Series {
  const stroke = options.color(line.color);
  return {
    label: line.name,
    stroke,
    width: 1.5,
    spanGaps: false,
    ...(options.isFirst ? { fill: stroke + FILL_ALPHA } : {}),
    points: { show: true, size: 4, fill: stroke, filter: findLonely },
  };
}

/** Values between two seconds in which nothing was measured: no line would show them. */
function findLonely({ data }: uPlot, series: number): number[] {
  const values = data[series] ?? [];
  const isMeasured = (index: number) => typeof values[index] === "number";
  return [...values.keys()].filter(
    (index) => isMeasured(index) && !isMeasured(index - 1) && !isMeasured(index + 1),
  );
}
