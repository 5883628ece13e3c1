import type { CaseDialect } from "./conformance-case.ts";
import type { CaseResult } from "./run-cases.ts";

const DIALECTS: readonly CaseDialect[] = ["chat", "messages", "responses", "completions", "http"];

/** One line for a case. */
export function formatResult({ case: it, failure, ms }: CaseResult): string {
  const mark = failure === undefined ? "pass" : "FAIL";
  const head = `${mark}  ${it.dialect} · ${it.topic} · ${it.name} (${ms.toFixed(0)} ms)`;
  return failure === undefined ? head : `${head}\n      ${failure}`;
}

/** How many of each dialect passed, and of all. */
export function formatTotals(results: readonly CaseResult[]): string {
  const rows = [...DIALECTS, undefined].map((dialect) => {
    const { passed, all } = countOf(results, dialect);
    return `${(dialect ?? "all").padEnd(12)} ${passed} of ${all}`;
  });
  return rows.join("\n");
}

/** Results for programs. */
export function toJson(results: readonly CaseResult[]): string {
  const rows = results.map(({ case: { name, topic, dialect }, failure, ms }) => ({
    name,
    topic,
    dialect,
    passed: failure === undefined,
    ...(failure === undefined ? {} : { failure }),
    ms: Math.round(ms),
  }));
  return JSON.stringify(rows, undefined, 2);
}

/** Servers side by side, by dialect and by topic, as a table in Markdown. */
export function formatComparison(
  servers: readonly { readonly name: string; readonly results: readonly CaseResult[] }[],
): string {
  const topics = [...new Set(servers.flatMap(({ results }) => results.map((it) => it.case.topic)))];
  const cells = (keep: (result: CaseResult) => boolean) =>
    servers.map(({ results }) => {
      const { passed, all } = countOf(results.filter(keep), undefined);
      return `${passed} of ${all}`;
    });
  const rows = [
    ...DIALECTS.map((dialect) => [dialect, ...cells((it) => it.case.dialect === dialect)]),
    ...topics.sort().map((topic) => [`_${topic}_`, ...cells((it) => it.case.topic === topic)]),
    ["**all**", ...cells(() => true)],
  ];
  const table = [["", ...servers.map(({ name }) => name)], ...rows];
  const widths = table[0]?.map((_, at) => Math.max(3, ...table.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, at) => cell.padEnd(widths?.[at] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths?.map((width) => "-".repeat(width)).join(" | ")} |`;
  const [head = [], ...body] = table;
  return [line(head), rule, ...body.map(line)].join("\n");
}

function countOf(results: readonly CaseResult[], dialect: CaseDialect | undefined) {
  const own = results.filter((it) => dialect === undefined || it.case.dialect === dialect);
  return { passed: own.filter(({ failure }) => failure === undefined).length, all: own.length };
}
