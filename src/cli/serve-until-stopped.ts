import { describeError } from "../base/errors.ts";
import { createLog, type LeveledLog, type Log, type LogLevel } from "../base/log.ts";
import { waitForStopSignal } from "../lifecycle/signals.ts";
import { EXIT } from "./frame/exit-codes.ts";

/** Set by `cortex up` in its children: when their standard input ends, their parent is gone and they stop. */
export const SUPERVISED_VARIABLE = "CORTEX_SUPERVISED";

/** A started role. */
export interface Role {
  readonly url: string;
  stop(): Promise<void>;
  /** Reads the configuration again and goes on with it, for SIGHUP; a role without it is only told of errors. */
  readonly reload?: () => Promise<void>;
  /** Resolves with an exit code when the role ends by itself. */
  readonly exited?: Promise<number>;
}

/** Starts a role and keeps the process until a stop signal or the role's own end; returns the exit code. */
export async function serveUntilStopped(options: {
  readonly role: string;
  readonly level: LogLevel;
  /** Reads the configuration again, for a SIGHUP before the role runs, or to one that cannot reload. */
  readonly checkConfig: () => Promise<unknown>;
  readonly start: (log: LeveledLog) => Promise<Role>;
}): Promise<number> {
  const log = createLog(options.level);
  const stopSignal = waitForStopSignal();
  let role: Role | undefined;
  onHangup(() => role?.reload ?? (() => checkOnly(options.checkConfig, log)));
  role = await options.start(log);
  log.info(`The ${options.role} listens`, { url: role.url });
  const ends: Promise<number | string>[] = [stopSignal];
  if (role.exited !== undefined) ends.push(role.exited);
  if (process.env[SUPERVISED_VARIABLE] === "1") ends.push(waitForStdinEnd());
  const end = await Promise.race(ends);
  if (typeof end === "number") {
    log.error(`The ${options.role} ended by itself`, { code: end });
    return end;
  }
  log.info(`The ${options.role} stops`, { cause: end });
  await role.stop();
  return EXIT.ok;
}

/** SIGHUP reads the configuration again, rather than ending the process. */
function onHangup(findReload: () => () => Promise<void>): void {
  process.on("SIGHUP", () => void findReload()());
}

/** A role that reads its configuration at start only says whether a restart would work. */
async function checkOnly(checkConfig: () => Promise<unknown>, log: Log): Promise<void> {
  try {
    await checkConfig();
    log.info("The configuration has no errors; it is applied at the next start");
  } catch (error) {
    log.error("The configuration has errors", { cause: describeError(error) });
  }
}

async function waitForStdinEnd(): Promise<string> {
  const reader = Bun.stdin.stream().getReader();
  for (;;) {
    const { done } = await reader.read();
    if (done) return "the supervisor is gone";
  }
}
