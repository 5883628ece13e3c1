import type { ConformanceCase } from "./conformance-case.ts";
import type { Target } from "./target.ts";

/** What came of one case. */
export interface CaseResult {
  readonly case: ConformanceCase;
  /** Undefined when it passed. */
  readonly failure: string | undefined;
  readonly ms: number;
}

/**
 * Runs cases against a server, several at a time but those that must be alone, and returns their results in the order
 * of the cases.
 */
export async function runCases(
  target: Target,
  cases: readonly ConformanceCase[],
  options: { readonly parallel: number; readonly onResult?: (result: CaseResult) => void },
): Promise<CaseResult[]> {
  const results = new Map<ConformanceCase, CaseResult>();
  const runOne = async (it: ConformanceCase) => {
    const startedMs = performance.now();
    const failure = await it.run(target).then(
      () => undefined,
      (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown)),
    );
    const result = { case: it, failure, ms: performance.now() - startedMs };
    results.set(it, result);
    options.onResult?.(result);
  };
  const together = cases.filter((it) => it.isAlone !== true);
  const worker = async () => {
    for (let next = together.shift(); next !== undefined; next = together.shift()) {
      await runOne(next);
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, worker));
  for (const it of cases.filter(({ isAlone }) => isAlone === true)) await runOne(it);
  return cases.flatMap((it) => results.get(it) ?? []);
}
