import type { Static } from "@sinclair/typebox";
import type { BenchSchema, LoadReport, Spread } from "../../protocol/bench-report.ts";
import type { Style } from "../frame/style.ts";
import { formatTable } from "../frame/table.ts";

/** The text of `cortex bench`: a table with a column for each endpoint, and the errors. */
export function formatBench(bench: Static<typeof BenchSchema>, style: Style): string {
  const { result, compare, ratios = {} } = bench;
  const reports = compare === undefined ? [result] : [result, compare];
  const rows = FIGURES.map(({ title, read, ratio }) => [
    title,
    ...reports.map((report) => show(read(report))),
    ...(compare === undefined ? [] : [show(ratio === undefined ? undefined : ratios[ratio])]),
  ]);
  const header = [
    `${bench.clients} clients, ${bench.dialect}`,
    ...reports.map(({ url, model }) => `${model} at ${url}`),
    ...(compare === undefined ? [] : ["RATIO"]),
  ];
  const table = formatTable(header, rows, { right: header.slice(1), paintHeader: style.bold });
  const errors = reports.flatMap(({ url, errors: codes }) =>
    Object.entries(codes).map(([code, count]) => `${style.red(code)}: ${count} of ${url}`),
  );
  return [
    ...(bench.interrupted ? [style.yellow("Interrupted; this is what there is so far"), ""] : []),
    table,
    ...(errors.length === 0
      ? []
      : ["", style.bold("Errors:"), ...errors.map((line) => `  ${line}`)]),
    "",
  ].join("\n");
}

interface Figure {
  readonly title: string;
  readonly read: (report: LoadReport) => number | undefined;
  /** Its name among the ratios. */
  readonly ratio?: string;
}

const FIGURES: readonly Figure[] = [
  { title: "requests", read: ({ requests }) => requests },
  { title: "failed", read: ({ failed }) => failed },
  { title: "seconds", read: ({ seconds }) => seconds },
  {
    ...{ title: "requests/s", ratio: "requests_per_second" },
    read: (report) => report.requests_per_second,
  },
  {
    ...{ title: "output tok/s", ratio: "output_tokens_per_second" },
    read: (report) => report.output_tokens_per_second,
  },
  { title: "prompt tok/s", read: (report) => report.prompt_tokens_per_second },
  ...spread("TTFT", "ttft", (report) => report.ttft_ms),
  ...spread("between tokens", "inter_token", (report) => report.inter_token_ms),
  ...spread("whole answer", undefined, (report) => report.total_ms),
];

function spread(
  title: string,
  ratio: string | undefined,
  read: (report: LoadReport) => Spread | undefined,
): readonly Figure[] {
  return (["p50", "p90", "p99"] as const).map((place) => ({
    title: `${title} ${place} (ms)`,
    read: (report) => read(report)?.[place],
    ...(ratio === undefined ? {} : { ratio: `${ratio}_${place}` }),
  }));
}

function show(value: number | undefined): string {
  if (value === undefined) return "-";
  return Number.isInteger(value) || value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}
