import { type Chart, ChartView } from "./chart.tsx";
import { formatBytes, formatNumber, formatSeconds, formatShare } from "./format.ts";
import { SectionHead } from "./section-head.tsx";

const COUNT_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
const BYTE_STEPS = [0, 1, 2, 3, 4, 5].flatMap((unit) =>
  [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((step) => step * 1024 ** unit),
);

const CHARTS: readonly Chart[] = [
  {
    title: "Tokens per second",
    lines: [
      { name: "answers", field: "completion_rate", color: "--line0" },
      { name: "prompts", field: "prompt_rate", color: "--line1" },
    ],
    format: formatNumber,
  },
  {
    title: "Time to the first token",
    lines: [
      { name: "median", field: "ttft_p50_seconds", color: "--line0" },
      { name: "95 %", field: "ttft_p95_seconds", color: "--line1" },
    ],
    format: formatSeconds,
  },
  {
    title: "Requests under way",
    lines: [
      { name: "in flight", field: "in_flight", color: "--line0" },
      { name: "waiting for a load", field: "waiting", color: "--line1" },
    ],
    format: formatNumber,
    steps: COUNT_STEPS,
  },
  {
    title: "Requests per second",
    lines: [
      { name: "all", field: "requests_rate", color: "--line0" },
      { name: "failed", field: "failed_rate", color: "--bad" },
    ],
    format: formatNumber,
  },
  {
    title: "Prompt tokens from caches",
    lines: [{ name: "share", field: "cached_share", color: "--line0" }],
    format: formatShare,
    steps: [0.25, 0.5],
    top: 1,
  },
  {
    title: "Device memory",
    lines: [
      { name: "used", field: "used_bytes", color: "--line0" },
      { name: "total", field: "total_bytes", color: "--quiet" },
    ],
    format: formatBytes,
    steps: BYTE_STEPS,
  },
];

/** The last hour, as the gateway itself remembers it. */
export function HistoryCharts() {
  return (
    <section id="history" aria-labelledby="history-title">
      <SectionHead id="history" title="Last hour" count="a reading each 5 s" />
      <div class="charts">
        {CHARTS.map((chart) => (
          <ChartView key={chart.title} chart={chart} />
        ))}
      </div>
    </section>
  );
}
