import { isCompiled } from "../worker/start-worker.ts";
import { PROBE_MARK, type ProbeReport } from "./probe.ts";

/** A driver that hangs must not keep the daemon from starting with another library. */
const PROBE_TIMEOUT_MS = 60_000;

/** Loads a library in a child process, so that a crash there is a sentence here. */
export async function tryLibrary(path: string): Promise<ProbeReport> {
  const child = Bun.spawn(probeCommand(path), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    timeout: PROBE_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const output = await new Response(child.stdout).text();
  await child.exited;
  const line = output.split("\n").find((candidate) => candidate.startsWith(PROBE_MARK));
  if (line !== undefined) return JSON.parse(line.slice(PROBE_MARK.length)) as ProbeReport;
  const how = child.signalCode === null ? `exit code ${child.exitCode}` : child.signalCode;
  return { ok: false, cause: `Its probe ended with ${how} before it could say anything` };
}

/** The executable itself, or in a source checkout the probe's module run by Bun. */
function probeCommand(path: string): string[] {
  if (isCompiled()) return [process.execPath, "__probe", path];
  const probe = JSON.stringify(new URL("./probe.ts", import.meta.url).href);
  const code = `const { runProbe } = await import(${probe}); process.exit(await runProbe(${JSON.stringify(path)}))`;
  return [process.execPath, "-e", code];
}
