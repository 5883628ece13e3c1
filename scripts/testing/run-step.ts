/** What came of one part of a check or of a test run. */
export interface StepResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  /** Tests that did not run although everything for them should be there. */
  readonly skipped: number;
  /** What failed or did not run, with its place and its message; said again at the end of a long run. */
  readonly failures?: readonly string[];
}

/** Runs a command with its output shown; its success counts as one passed check, anything else as one failed. */
export async function runCheck(name: string, command: readonly string[]): Promise<StepResult> {
  announce(name, command);
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "inherit", stderr: "inherit" });
  const isGood = (await child.exited) === 0;
  return { name, passed: isGood ? 1 : 0, failed: isGood ? 0 : 1, skipped: 0 };
}

/** Runs work of this process as one check; what it throws is printed. */
export async function runWork(name: string, work: () => Promise<unknown>): Promise<StepResult> {
  announce(name, []);
  try {
    await work();
    return { name, passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    process.stderr.write(`${Bun.inspect(error)}\n`);
    return { name, passed: 0, failed: 1, skipped: 0 };
  }
}

/** Prints each step and the sum; true when nothing failed and nothing was skipped. */
export function summarize(steps: readonly StepResult[]): boolean {
  const sum = (key: "passed" | "failed" | "skipped") =>
    steps.reduce((total, step) => total + step[key], 0);
  process.stdout.write("\n");
  for (const { name, failures = [] } of steps) {
    for (const failure of failures) process.stdout.write(`FAIL ${name}: ${failure}\n`);
  }
  for (const { name, passed, failed, skipped } of steps) {
    const mark = failed + skipped === 0 ? "ok  " : "FAIL";
    const left = skipped === 0 ? "" : `, ${skipped} skipped, which counts as failed`;
    process.stdout.write(`${mark} ${name}: ${passed} passed, ${failed} failed${left}\n`);
  }
  const failed = sum("failed") + sum("skipped");
  process.stdout.write(`${sum("passed")} passed, ${failed} failed\n`);
  return failed === 0;
}

function announce(name: string, command: readonly string[]): void {
  const line = command.length === 0 ? "" : ` (${command.join(" ")})`;
  process.stdout.write(`\n== ${name}${line}\n`);
}
