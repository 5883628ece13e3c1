import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { ensureVenv } from "../../../scripts/testing/ensure-venv.ts";
import type { Cluster } from "../processes.ts";
import { startSdkCluster } from "./sdk-cluster.ts";

/** Downloads of a first run. */
const INSTALL_DEADLINE_MS = 240_000;
/** All checks of one library, on a busy machine. */
const CHECKS_DEADLINE_MS = 120_000;

const VERSIONS = [
  { name: "current", packages: ["openai==3.54.0", "anthropic==2.12.0"] },
  // With sampling arguments, and on the HTTP library of that time.
  { name: "old", packages: ["openai==1.66.3", "anthropic==0.49.0"] },
] as const;

const LIBRARIES = [
  {
    script: "openai-library.py",
    checks: [
      "whole_and_streamed",
      "forced_tool",
      "auto_tool",
      "structured_output",
      "stop_string",
      "responses",
      "errors",
      "rate_limit",
      "cancel",
    ],
  },
  {
    script: "anthropic-library.py",
    checks: [
      "whole_and_streamed",
      "count_tokens",
      "forced_tool",
      "auto_tool",
      "structured_output",
      "stop_sequence",
      "sampling_fields",
      "errors",
      "rate_limit",
      "cancel",
    ],
  },
] as const;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startSdkCluster();
}, 60_000);

afterAll(() => cluster.stop());

for (const { name, packages } of VERSIONS) {
  for (const { script, checks } of LIBRARIES) {
    describe(`the ${name} ${script}`, () => {
      let results: ReadonlyMap<string, string | null>;

      beforeAll(async () => {
        results = await runScript(await ensureVenv(packages), script);
      }, INSTALL_DEADLINE_MS + CHECKS_DEADLINE_MS);

      for (const check of checks) {
        test(`passes ${check}`, () => {
          expect(results.get(check)).toBeNull();
        });
      }

      test("has no other check", () => {
        expect([...results.keys()]).toEqual([...checks]);
      });
    });
  }
}

/** What came of each check: null, or the traceback. */
async function runScript(
  python: string,
  script: string,
): Promise<ReadonlyMap<string, string | null>> {
  const neuron = cluster.neurons[0];
  const child = Bun.spawn(
    [
      python,
      join(import.meta.dir, script),
      "--gateway",
      cluster.url,
      "--neuron",
      neuron?.url ?? "",
    ],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
      timeout: CHECKS_DEADLINE_MS,
    },
  );
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${script} ended with code ${code}: ${errors}`);
  const lines = out.trim().split("\n");
  return new Map(
    lines.map((line) => {
      const { name, failure } = JSON.parse(line) as { name: string; failure: string | null };
      return [name, failure];
    }),
  );
}
