import { join } from "node:path";
import { expectPublished } from "./expect-published.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs src/main.ts as a real process, into pipes and without a configuration of this machine. What it prints with
 * --json must be of its command's published schema, whatever the test looks at.
 */
export async function runMain(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", ...env },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (args.includes("--json")) expectPublished(stdout);
  return { code, stdout, stderr };
}
