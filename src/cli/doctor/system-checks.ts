import { type Finding, fine, problem, skipped } from "./finding.ts";

const LIMITS = "open files";
const UNITS = "systemd units";
/** A connection to the client and one to the neuron for each request, and all that a process has open anyway. */
const FILES_MIN = 4096;
/** The service manager answers at once, or hangs. */
const SYSTEMCTL_MS = 10_000;

/** What a program printed; undefined where it is missing or failed. */
export type Run = (command: readonly string[]) => string | undefined;

/** Whether this user's processes may have enough files and connections open. */
export async function checkLimits(limitsFile = "/proc/self/limits"): Promise<Finding> {
  const text = await Bun.file(limitsFile)
    .text()
    // Only Linux has it.
    .catch(() => "");
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(text) ?? [];
  if (soft === undefined) return skipped(LIMITS, "This system does not say");
  const said = `${soft} of at most ${hard} may be open in a process`;
  if (soft === "unlimited" || Number(soft) >= FILES_MIN) return fine(LIMITS, said);
  return problem(LIMITS, `${said}, a busy gateway needs ${FILES_MIN}`, "ulimit -n 65536");
}

/** How cortex's units fare, where systemd runs and has any. */
export function checkUnits(run: Run = runProgram): readonly Finding[] {
  const fields = "Id,LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState";
  const shown = run(["systemctl", "show", "--all", `--property=${fields}`, ...UNIT_NAMES]);
  if (shown === undefined) return [skipped(UNITS, "systemd does not run here")];
  const units = shown
    .split("\n\n")
    .map((block) => new Map(block.split("\n").map((line) => splitAt(line, "="))))
    .filter((unit) => unit.get("LoadState") === "loaded");
  if (units.length === 0) return [skipped(UNITS, "None of cortex is installed")];
  return units.map(describeUnit);
}

const UNIT_NAMES = ["cortex.service", "neuron.service", "neuron@*.service"];

function describeUnit(unit: ReadonlyMap<string, string>): Finding {
  const id = unit.get("Id") ?? "";
  const active = unit.get("ActiveState");
  const restarts = Number(unit.get("NRestarts") ?? 0);
  const often = restarts === 0 ? "" : `, restarted ${restarts} times`;
  const text = `${id} is ${active} (${unit.get("SubState")})${often}`;
  if (active === "failed") {
    const why = `${text}: ${unit.get("Result")}`;
    return problem(UNITS, why, `journalctl -u ${id} -n 50; sudo systemctl restart ${id}`);
  }
  const isWanted = unit.get("UnitFileState") === "enabled";
  if (active === "inactive" && isWanted) {
    return problem(UNITS, `${text}, though it is enabled`, `sudo systemctl start ${id}`);
  }
  if (active === "activating" && restarts > 0) {
    return problem(UNITS, `${text}: it does not come up`, `journalctl -u ${id} -n 50`);
  }
  return fine(UNITS, text);
}

function splitAt(line: string, mark: string): [string, string] {
  const at = line.indexOf(mark);
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}

function runProgram(command: readonly string[]): string | undefined {
  const [program = ""] = command;
  if (Bun.which(program) === null) return undefined;
  const { success, stdout } = Bun.spawnSync([...command], {
    ...{ timeout: SYSTEMCTL_MS, stderr: "ignore", stdin: "ignore" },
  });
  return success ? stdout.toString() : undefined;
}
