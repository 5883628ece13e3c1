import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { parseExposition, type ScrapedMetric } from "../metrics/exposition.ts";
import { usedGatewayMetrics, usedNeuronMetrics } from "../metrics/registries.ts";

const FOLDER = join(import.meta.dir, "../../config");

/** A panel of a dashboard; a row has none of the optional ones. */
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: {
    readonly h: number;
    readonly w: number;
    readonly x: number;
    readonly y: number;
  };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { query: string } }[];
  };
}

interface Rules {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  }[];
}

const dashboard: Dashboard = await Bun.file(join(FOLDER, "grafana-dashboard.json")).json();
const rules = Bun.YAML.parse(await Bun.file(join(FOLDER, "alerts.yml")).text()) as Rules;
const alerts = rules.groups.flatMap((group) => group.rules);
const exported = new Map([
  ...parseExposition(await usedGatewayMetrics().render()),
  ...parseExposition(await usedNeuronMetrics().render()),
]);

/** Words of the query language; everything else in lower case that is no label is a metric. */
const NAME = /(?<![\w$"])(?:cortex|process)_[a-z0-9_]+/g;

function findMetric(name: string): ScrapedMetric | undefined {
  const histogram = exported.get(name.replace(/_(bucket|sum|count)$/, ""));
  return histogram?.type === "histogram" && histogram.name !== name
    ? histogram
    : exported.get(name);
}

/** What is wrong with the metrics and labels that a query names. */
function checkQuery(query: string): string[] {
  const found: string[] = [];
  const names = [...query.matchAll(NAME)].map(([name]) => name);
  if (names.length === 0) found.push(`no metric in ${query}`);
  for (const name of names) {
    const metric = findMetric(name);
    if (metric === undefined) found.push(`${name} is not exported`);
    else if (metric.type === "histogram" && metric.name === name) found.push(`${name}: no bucket`);
  }
  for (const [, name = "", matchers = ""] of query.matchAll(/(cortex_[a-z0-9_]+)\{([^}]*)\}/g)) {
    const labels = new Set(findMetric(name)?.samples.flatMap(({ labelNames }) => labelNames));
    for (const [, label = ""] of matchers.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)) {
      if (!labels.has(label)) found.push(`${name} has no label ${label}`);
    }
  }
  // A rate of what is no counter, or a counter without one, shows nothing of use.
  for (const [, name = ""] of query.matchAll(
    /(?:rate|increase)\((cortex_[a-z0-9_]+|process_[a-z0-9_]+)/g,
  )) {
    const type = findMetric(name)?.type;
    if (type !== "counter" && type !== "histogram") found.push(`${name} is no counter`);
  }
  return found;
}

const isBalanced = (text: string) =>
  ["()", "{}", "[]"].every(
    ([open = "", close = ""]) => text.split(open).length === text.split(close).length,
  );

describe("the Grafana dashboard", () => {
  const queries = dashboard.panels.flatMap(({ title, targets }) =>
    (targets ?? []).map(({ expr }) => ({ title, expr })),
  );

  test("asks only for metrics and labels that are exported", () => {
    expect(queries.length).toBeGreaterThan(20);
    expect(queries.flatMap(({ expr }) => checkQuery(expr))).toEqual([]);
    expect(queries.filter(({ expr }) => !isBalanced(expr))).toEqual([]);
  });

  test("chooses among labels that are exported, and uses no other variables", () => {
    const variables = dashboard.templating.list.map(({ name }) => name);
    for (const { query } of dashboard.templating.list) {
      if (typeof query === "string") continue;
      const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(query.query) ?? [];
      expect(findMetric(metric)?.samples[0]?.labelNames).toContain(label);
    }
    for (const { expr } of queries) {
      for (const [, name = ""] of expr.matchAll(/\$(\w+)/g)) {
        expect([...variables, "__rate_interval"]).toContain(name);
      }
    }
  });

  test("explains each panel, and puts none over another", () => {
    const taken = new Set<string>();
    for (const { type, title, description, gridPos } of dashboard.panels) {
      if (type !== "row") expect([title, description?.endsWith(".")]).toEqual([title, true]);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x}:${y}`)).toBe(false);
          taken.add(`${x}:${y}`);
        }
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });
});

describe("the rules for alerts", () => {
  test("ask only for metrics and labels that are exported", () => {
    expect(alerts.length).toBeGreaterThan(8);
    expect(alerts.flatMap(({ expr }) => checkQuery(expr))).toEqual([]);
    expect(alerts.filter(({ expr }) => !isBalanced(expr))).toEqual([]);
  });

  test("say how bad it is and what it means, by labels that their query leaves", () => {
    for (const { alert, expr, labels, annotations } of alerts) {
      expect(alert).toMatch(/^Cortex[A-Za-z]+$/);
      expect(["warning", "critical"]).toContain(labels["severity"] ?? "");
      const { summary = "", description = "" } = annotations;
      expect([alert, summary !== "", description !== ""]).toEqual([alert, true, true]);
      const kept = /(?:sum|max|min) by \(([^)]*)\)/.exec(expr)?.[1]?.split(", ");
      for (const [, label = ""] of (summary + description).matchAll(/\$labels\.(\w+)/g)) {
        const [name = ""] = expr.match(NAME) ?? [];
        const own = findMetric(name)?.samples[0]?.labelNames ?? [];
        expect([alert, kept ?? [...own, "instance"]]).toEqual([
          alert,
          expect.arrayContaining([label]),
        ]);
      }
    }
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  });
});
