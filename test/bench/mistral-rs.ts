import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { findFreePort, waitUntil } from "../e2e/processes.ts";

const REQUIREMENT = "mistralrs==0.9.5";
const SHIM = join(import.meta.dir, "mistral-rs.py");
/** The engine reads the whole model before it answers. */
const START_DEADLINE_MS = 120_000;

/** A running mistral.rs. */
export interface MistralRs {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Installs mistral.rs into a virtual environment of the bench's own, once, and serves a model with it. */
export async function startMistralRs(
  model: string,
  options: { readonly threads: number },
): Promise<MistralRs> {
  const python = await ensureEnvironment();
  const port = findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const child = Bun.spawn([python, SHIM, model, String(port)], {
    stdout: "ignore",
    stderr: "pipe",
    env: { ...process.env, RAYON_NUM_THREADS: String(options.threads) },
  });
  const errors = new Response(child.stderr).text();
  await waitUntil(
    async () => {
      if (child.exitCode !== null) throw new Error(`mistral.rs ended: ${await errors}`);
      return await fetch(url).then(
        (response) => response.ok,
        () => false,
      );
    },
    { deadlineMs: START_DEADLINE_MS, what: () => "mistral.rs to serve" },
  );
  return {
    url,
    pid: child.pid,
    stop: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function ensureEnvironment(): Promise<string> {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const folder = join(cache, "cortex/bench-mistralrs");
  const python = join(folder, "bin/python");
  if (existsSync(join(folder, "installed"))) return python;
  await mkdir(folder, { recursive: true });
  await run(["python3", "-m", "venv", folder]);
  await run([python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", REQUIREMENT]);
  await Bun.write(join(folder, "installed"), REQUIREMENT);
  return python;
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${errors.trim()}`);
}
