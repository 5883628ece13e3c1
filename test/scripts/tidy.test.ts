import { describe, expect, test } from "bun:test";
import type { Exemption } from "../../scripts/tidy/exemptions.ts";
import { checkTidy } from "../../scripts/tidy.ts";

/** What keeps a sample from being dead code. */
const MAIN = "src/main.ts";

function rulesOf(
  files: Readonly<Record<string, string>>,
  exemptions: readonly Exemption[] = [],
): string[] {
  const sources = Object.entries(files).map(([path, text]) => ({ path, text }));
  return checkTidy(sources, exemptions).map(({ rule, path, line }) => `${rule} ${path}:${line}`);
}

/** A sample that main.ts reaches, and its violations. */
function check(path: string, text: string, others: Readonly<Record<string, string>> = {}) {
  const reach = path.startsWith("src/") ? `await import("./${path.slice(4)}");\n` : "await 1;\n";
  return rulesOf({ [MAIN]: reach, [path]: text, ...others });
}

describe("import directions", () => {
  test("downward imports are right", () => {
    const files = { "src/base/a.ts": "/** A. */\nexport const a = 1;\n" };
    expect(check("src/cli/b.ts", 'import { a } from "../base/a.ts";\na;\n', files)).toEqual([]);
  });

  test.each([
    ["src/base/b.ts", "../config/a.ts", "src/config/a.ts"],
    ["src/protocol/b.ts", "../config/a.ts", "src/config/a.ts"],
    ["src/protocol/b.ts", "../translate/a.ts", "src/translate/a.ts"],
    ["src/gateway/b.ts", "../cli/a.ts", "src/cli/a.ts"],
    ["src/gateway/b.ts", "../neuron/a.ts", "src/neuron/a.ts"],
    ["src/neuron/b.ts", "../gateway/a.ts", "src/gateway/a.ts"],
    ["src/base/b.ts", "../../scripts/a.ts", "scripts/a.ts"],
  ])("%s may not import %s", (path, specifier, other) => {
    const found = check(path, `import type { A } from "${specifier}";\nexport type B = A;\n`, {
      [other]: "export type A = 1;\nimport.meta.main;\n",
    });
    expect(found).toContain(`direction ${path}:1`);
  });

  test("a dynamic import counts, too", () => {
    const found = check("src/gateway/b.ts", 'await import("../neuron/a.ts");\n', {
      "src/neuron/a.ts": "await 1;\n",
    });
    expect(found).toEqual(["direction src/gateway/b.ts:1"]);
  });
});

test("a cycle is found and shown once", () => {
  const found = check("src/base/a.ts", 'import "./b.ts";\n', {
    "src/base/b.ts": 'import "./c.ts";\n',
    "src/base/c.ts": 'import "./a.ts";\n',
  });
  expect(found).toEqual(["cycle src/base/c.ts:1"]);
});

describe("package homes", () => {
  test.each([
    ["elysia", "src/gateway/proxy/a.ts", "src/gateway/http/a.ts"],
    ["prom-client", "src/gateway/a.ts", "src/metrics/a.ts"],
    ["citty", "src/gateway/a.ts", "src/cli/a.ts"],
    ["@iarna/toml", "src/cli/a.ts", "src/config/a.ts"],
    ["consola", "src/cli/a.ts", "src/base/log.ts"],
    ["consola/core", "src/cli/a.ts", "src/base/log.ts"],
    ["bun:ffi", "src/neuron/native/a.ts", "cuda/index.ts"],
    ["bun-ffi-cuda-bindings-local", "src/neuron/models/a.ts", "src/neuron/native/a.ts"],
  ])("%s may not be imported in %s", (name, wrong, right) => {
    const text = `import "${name}";\n`;
    expect(check(wrong, text)).toEqual([`home ${wrong}:1`]);
    expect(check(right, text)).toEqual([]);
  });

  test("the neuron may name the native surface's types", () => {
    const text = 'import type { NativeEngine } from "bun-ffi-cuda-bindings-local/engine";\n';
    expect(check("src/neuron/models/a.ts", text)).toEqual([]);
    expect(check("src/gateway/a.ts", text)).toEqual(["home src/gateway/a.ts:1"]);
  });
});

describe("pure folders", () => {
  test.each([
    "fetch(url);",
    "setTimeout(run, 1);",
    "Date.now();",
    "new Date();",
    "Math.random();",
    "performance.now();",
    'process.env["A"];',
    "Bun.file(path);",
    "crypto.randomUUID();",
    'import { readFile } from "node:fs/promises";',
    'import { systemClock } from "../../base/clock.ts";',
  ])("the router may not do %s", (line) => {
    const others = { "src/base/clock.ts": "await 1;\n" };
    const found = check("src/gateway/router/a.ts", `${line}\n`, others);
    expect(found).toContain("pure src/gateway/router/a.ts:1");
    expect(check("src/gateway/fleet/a.ts", `${line}\n`, others)).not.toContain(
      "pure src/gateway/fleet/a.ts:1",
    );
  });

  test("arguments may be called as the outside is, and types may be imported", () => {
    const text = `import type { Clock } from "../base/clock.ts";
/** Reads the time that it is given. */
export function read(options: { fetch: () => number; clock: Clock }): number {
  return options.fetch() + new Date(0).getTime();
}
`;
    expect(check("src/translate/a.ts", text, { "src/base/clock.ts": "await 1;\n" })).toEqual([]);
  });
});

describe("sizes", () => {
  test("a file of 501 lines is too long", () => {
    expect(check("src/base/a.ts", "await 1;\n".repeat(500))).toEqual([]);
    expect(check("src/base/a.ts", "await 1;\n".repeat(501))).toEqual([
      "file-length src/base/a.ts:500",
    ]);
  });

  test("a function of 71 lines is too long, a describe block of any length is not", () => {
    const body = "  await 1;\n";
    const text = (count: number) => `async function f() {\n${body.repeat(count)}}\nf();\n`;
    expect(check("src/base/a.ts", text(68))).toEqual([]);
    expect(check("src/base/a.ts", text(69))).toEqual(["function-length src/base/a.ts:1"]);
    const tests = `describe("x", () => {\n${body.repeat(99)}});\n`;
    expect(rulesOf({ "test/base/a.test.ts": tests })).toEqual([]);
  });

  test("a comment or a line of C++ wider than 120 columns is too wide", () => {
    expect(check("src/base/a.ts", `// ${"x".repeat(118)}\n`)).toEqual(["columns src/base/a.ts:1"]);
    expect(rulesOf({ "cuda/src/a.cpp": `int ${"x".repeat(118)};\n` })).toEqual([
      "columns cuda/src/a.cpp:1",
    ]);
  });
});

describe("names and leftovers", () => {
  test.each(["utils.ts", "helpers.ts", "common.ts", "camelCase.ts", "snake_case.ts", "index.ts"])(
    "a file may not be called %s",
    (name) => {
      expect(check(`src/base/${name}`, "await 1;\n")).toEqual([`name src/base/${name}:1`]);
    },
  );

  test.each(["TODO", "FIXME", "XXX", "HACK"])("%s is unfinished work", (mark) => {
    expect(check("src/base/a.ts", `await 1; // ${mark} later\n`)).toEqual([
      "leftover src/base/a.ts:1",
    ]);
  });

  test("a file that no entry point reaches is dead, even when a test imports it", () => {
    const found = rulesOf({
      [MAIN]: "await 1;\n",
      "src/base/a.ts": "await 1;\n",
      "test/base/a.test.ts": 'import "../../src/base/a.ts";\nimport "./support.ts";\n',
      "test/base/support.ts": "await 1;\n",
    });
    expect(found).toEqual(["dead src/base/a.ts:1"]);
  });

  test("a Worker's file is reached through new URL", () => {
    const text = 'new Worker(new URL("./entry.ts", import.meta.url));\n';
    expect(check("src/neuron/a.ts", text, { "src/neuron/entry.ts": "await 1;\n" })).toEqual([]);
  });
});

describe("exports", () => {
  test.each([
    "export function f() {}",
    "export async function f() {}",
    "export class C {}",
    "export const f = () => 1;",
  ])("%s needs a docstring", (line) => {
    expect(check("src/base/a.ts", `${line}\n`)).toEqual(["documented src/base/a.ts:1"]);
    expect(check("src/base/a.ts", `/** Says why. */\n${line}\n`)).toEqual([]);
  });

  test("a file of re-exports only is refused", () => {
    const text = 'export { a } from "./b.ts";\n';
    const others = { "src/base/b.ts": "/** A. */\nexport const a = 1;\n" };
    expect(check("src/base/a.ts", text, others)).toEqual(["re-export src/base/a.ts:1"]);
  });

  test("console is refused in src", () => {
    expect(check("src/base/a.ts", "console.log(1);\n")).toEqual(["console src/base/a.ts:1"]);
  });
});

test("an exemption silences its rule in its file, and is an error when nothing needs it", () => {
  const exemption = { rule: "name", path: "src/base/utils.ts", reason: "a sample" };
  const bad = { [MAIN]: 'import "./base/utils.ts";\n', "src/base/utils.ts": "await 1;\n" };
  expect(rulesOf(bad, [exemption])).toEqual([]);
  const good = { [MAIN]: "await 1;\n" };
  expect(rulesOf(good, [exemption])).toEqual(["exemption src/base/utils.ts:1"]);
});
