import { afterAll, beforeAll, expect, test } from "bun:test";
import { ALL_CASES } from "../../conformance/all-cases.ts";
import type { CaseDialect } from "../../conformance/conformance-case.ts";
import { runCases } from "../../conformance/run-cases.ts";
import { Target } from "../../conformance/target.ts";
import { Cluster } from "../processes.ts";

const MODEL = "smollm2-135m-instruct";
/** As many requests as the model has slots: they share each decoding step. */
const PARALLEL = 4;
const CONTEXT_TOKENS = 8192;
/** All cases of a dialect, on a busy machine of two cores. */
const ALL_DEADLINE_MS = 240_000;

/** Declares a test for each case of those dialects, on a compiled gateway with a neuron and the real small model. */
export function testConformance(dialects: readonly CaseDialect[]): void {
  const cases = ALL_CASES.filter(({ dialect }) => dialects.includes(dialect));
  const failures = new Map<string, string | undefined>();
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.create();
    const neuron = await cluster.addNeuron("one", {
      toml: `[defaults]\nslots = ${PARALLEL}\ncontext = ${CONTEXT_TOKENS}`,
    });
    const loaded = await neuron.post("/models/load", { model: MODEL });
    expect(loaded.status).toBe(200);
    await cluster.startGateway();
    const target = new Target({
      url: cluster.url,
      model: MODEL,
      contextTokens: CONTEXT_TOKENS,
    });
    for (const { case: it, failure } of await runCases(target, cases, { parallel: PARALLEL })) {
      failures.set(titleOf(it), failure);
    }
  }, ALL_DEADLINE_MS);

  afterAll(() => cluster.stop());

  for (const it of cases) {
    test(titleOf(it), () => {
      expect(failures.has(titleOf(it))).toBe(true);
      expect(failures.get(titleOf(it))).toBeUndefined();
    });
  }
}

function titleOf(it: { readonly dialect: string; readonly name: string }): string {
  return `${it.dialect}: ${it.name}`;
}
