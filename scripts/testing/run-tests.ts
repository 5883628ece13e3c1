import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StepResult } from "./run-step.ts";

/** Folders whose tests need a device, a network, a model or much time. */
const SPECIAL = new Set(["native", "e2e", "bench"]);
const ENTITIES: Readonly<Record<string, string>> = {
  "#10": "\n",
  quot: '"',
  lt: "<",
  gt: ">",
  apos: "'",
  amp: "&",
};

/** The test files that need nothing but Bun, or those of one special folder; relative to the root. */
export async function listTests(
  root: string,
  folder: "unit" | "native" | "e2e",
): Promise<string[]> {
  const parts =
    folder === "unit"
      ? (await readdir(join(root, "test"))).filter((name) => !SPECIAL.has(name))
      : [folder];
  const files: string[] = [];
  for (const part of parts) {
    for await (const path of new Bun.Glob(`test/${part}/**/*.test.ts`).scan({ cwd: root })) {
      files.push(path);
    }
  }
  return files.sort();
}

/**
 * Runs test files in one `bun test` process and counts what came of them. A process that dies, or tests that fail
 * outside a test, count as one failure more than the report says.
 */
export async function runTests(
  name: string,
  options: {
    readonly root: string;
    readonly files: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly timeoutMs?: number;
  },
): Promise<StepResult> {
  const { root, files, env = {}, timeoutMs = 10_000 } = options;
  if (files.length === 0) return { name, passed: 0, failed: 0, skipped: 0 };
  process.stdout.write(`\n== ${name} (${files.length} files)\n`);
  const folder = await mkdtemp(join(tmpdir(), "cortex-tests-"));
  const report = join(folder, "report.xml");
  try {
    const child = Bun.spawn(
      [
        process.execPath,
        "test",
        `--timeout=${timeoutMs}`,
        "--reporter=junit",
        `--reporter-outfile=${report}`,
        ...files.map((file) => `./${file}`),
      ],
      {
        cwd: root,
        stdin: "ignore",
        stdout: "inherit",
        stderr: "inherit",
        env: { ...process.env, ...env },
      },
    );
    const code = await child.exited;
    const text = await Bun.file(report)
      .text()
      .catch(() => "");
    return toResult(name, { text, code });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The counts of a JUnit report, corrected by the exit code. */
export function toResult(
  name: string,
  run: { readonly text: string; readonly code: number },
): StepResult {
  const root = /<testsuites\b[^>]*>/.exec(run.text)?.[0] ?? "";
  const count = (key: string) => Number(new RegExp(`\\b${key}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const [tests, reported, skipped] = [count("tests"), count("failures"), count("skipped")];
  const failed = run.code !== 0 && reported === 0 ? 1 : reported;
  const passed = Math.max(0, tests - reported - skipped);
  return { name, passed, failed, skipped, failures: listFailures(run.text) };
}

/** Each test case of a JUnit report that failed or did not run: its file, name and message, or "skipped". */
function listFailures(report: string): string[] {
  const cases = report.matchAll(
    /<testcase ([^>]*[^/>])>\s*<(?:failure ([^>]*)|skipped)[\s\S]*?<\/testcase>/g,
  );
  return Array.from(cases, ([, head = "", failure]) => {
    const names = [attribute(head, "classname"), attribute(head, "name")].filter(Boolean);
    const cause = failure === undefined ? "skipped" : attribute(failure, "message");
    return `${attribute(head, "file")}: ${names.join(" > ")}\n${cause.trim().replace(/^/gm, "    ")}`;
  });
}

function attribute(tag: string, name: string): string {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(tag)?.[1] ?? "";
  return value.replace(
    /&(#10|quot|lt|gt|apos|amp);/g,
    (_, entity: string) => ENTITIES[entity] ?? "",
  );
}
