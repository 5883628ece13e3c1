import { join } from "node:path";
import { runCheck, type StepResult, summarize } from "./testing/run-step.ts";
import { listTests, runTests } from "./testing/run-tests.ts";

const ROOT = join(import.meta.dir, "..");
/** The tools' own files would ask for Node, which a machine with Bun need not have. */
const tool = (name: string) => [process.execPath, "--bun", join(ROOT, "node_modules/.bin", name)];

/** Types, lint and tidy: what needs no test. */
export async function runStaticChecks(): Promise<StepResult[]> {
  return [
    await runCheck("types", [...tool("tsc"), "-p", ROOT]),
    // A browser's globals must not be known to the rest.
    await runCheck("types of the dashboard", [...tool("tsc"), "-p", join(ROOT, "src/dashboard")]),
    await runCheck("lint", [...tool("biome"), "ci", "--colors=off", ROOT]),
    await runCheck("tidy", [process.execPath, join(ROOT, "scripts/tidy.ts")]),
  ];
}

/** Every test that needs no device, network or model. */
export async function runUnitTests(
  env: Readonly<Record<string, string>> = {},
): Promise<StepResult> {
  return runTests("unit tests", { root: ROOT, files: await listTests(ROOT, "unit"), env });
}

if (import.meta.main) {
  process.chdir(ROOT);
  const isGood = summarize([...(await runStaticChecks()), await runUnitTests()]);
  process.exit(isGood ? 0 : 1);
}
