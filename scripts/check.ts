import { join } from "node:path";
import { runCheck, type StepResult, summarize } from "./testing/run-step.ts";
import { listTests, runTests } from "./testing/run-tests.ts";

const ROOT = join(import.meta.dir, "..");
const BIN = join(ROOT, "node_modules/.bin");

/** Types, lint and tidy: what needs no test. */
export async function runStaticChecks(): Promise<StepResult[]> {
  return [
    await runCheck("types", [join(BIN, "tsc"), "-p", ROOT]),
    await runCheck("lint", [join(BIN, "biome"), "ci", ROOT]),
    await runCheck("tidy", [process.execPath, join(ROOT, "scripts/tidy.ts")]),
  ];
}

/** Every test that needs no device, network or model. */
export async function runUnitTests(): Promise<StepResult> {
  return runTests("unit tests", { root: ROOT, files: await listTests(ROOT, "unit") });
}

if (import.meta.main) {
  process.chdir(ROOT);
  const isGood = summarize([...(await runStaticChecks()), await runUnitTests()]);
  process.exit(isGood ? 0 : 1);
}
