import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { HistorySample } from "../protocol/feed.ts";
import { formatBytes, formatNumber, formatSeconds, formatShare } from "./format.ts";
import { store } from "./store.ts";

interface Line {
  readonly name: string;
  readonly field: keyof HistorySample;
}

interface Chart {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
}

const CHARTS: readonly Chart[] = [
  {
    title: "Tokens per second",
    lines: [
      { name: "answers", field: "completion_rate" },
      { name: "prompts", field: "prompt_rate" },
    ],
    format: formatNumber,
  },
  {
    title: "Time to the first token",
    lines: [
      { name: "median", field: "ttft_p50_seconds" },
      { name: "95 %", field: "ttft_p95_seconds" },
    ],
    format: formatSeconds,
  },
  {
    title: "Requests",
    lines: [
      { name: "in flight", field: "in_flight" },
      { name: "waiting for a load", field: "waiting" },
    ],
    format: formatNumber,
  },
  {
    title: "Requests per second",
    lines: [
      { name: "all", field: "requests_rate" },
      { name: "failed", field: "failed_rate" },
    ],
    format: formatNumber,
  },
  {
    title: "Prompt tokens from caches",
    lines: [{ name: "share", field: "cached_share" }],
    format: formatShare,
  },
  {
    title: "Device memory",
    lines: [
      { name: "used", field: "used_bytes" },
      { name: "total", field: "total_bytes" },
    ],
    format: formatBytes,
  },
];

const HEIGHT = 160;
/** Wide enough for "123 MiB". */
const AXIS_WIDTH = 68;

/** The last hour, as the gateway itself remembers it. */
export function HistoryCharts() {
  return (
    <section id="history" aria-labelledby="history-title">
      <h2 id="history-title">Last hour</h2>
      <div class="charts">
        {CHARTS.map((chart) => (
          <ChartView key={chart.title} chart={chart} />
        ))}
      </div>
    </section>
  );
}

function ChartView({ chart }: { chart: Chart }) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const samples = store.history.readAll();
  const last = samples.at(-1);
  useEffect(() => {
    const parent = element.current;
    if (parent === null) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(toOptions(chart, parent), toData(chart, []), parent);
      plot.current.setData(toData(chart, store.history.readAll()));
    };
    draw();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: parent.clientWidth, height: HEIGHT }),
    );
    resized.observe(parent);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      scheme.removeEventListener("change", draw);
      resized.disconnect();
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => {
    plot.current?.setData(toData(chart, samples));
  }, [last]);
  return (
    <figure>
      <figcaption>
        {chart.title}
        {chart.lines.map(({ name, field }, index) => (
          <span key={name} class={`key line${index}`}>
            {name} {formatLast(last?.[field], chart.format)}
          </span>
        ))}
      </figcaption>
      <div ref={element} class="plot" role="img" aria-label={`${chart.title}, the last hour`} />
    </figure>
  );
}

function formatTime(seconds: number): string {
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return new Date(seconds * 1_000).toLocaleTimeString(undefined, parts);
}

function formatLast(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}

function toData(chart: Chart, samples: readonly HistorySample[]): uPlot.AlignedData {
  return [
    samples.map(({ at_ms }) => at_ms / 1_000),
    ...chart.lines.map(({ field }) => samples.map((sample) => sample[field])),
  ];
}

function toOptions(chart: Chart, parent: HTMLElement): uPlot.Options {
  const colors = getComputedStyle(document.documentElement);
  const color = (name: string) => colors.getPropertyValue(name).trim();
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 } };
  return {
    width: parent.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, values: (_plot, times) => times.map(formatTime) },
      {
        ...axis,
        size: AXIS_WIDTH,
        values: (_plot, values) => values.map((value) => chart.format(value)),
      },
    ],
    series: [
      {},
      ...chart.lines.map(({ name }, index) => ({
        label: name,
        stroke: color(`--line${index}`),
        width: 2,
        spanGaps: false,
        points: { show: false },
      })),
    ],
  };
}
