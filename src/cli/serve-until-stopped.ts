import { systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import {
  createLog,
  type LeveledLog,
  type Log,
  type LogFormat,
  type LogLevel,
} from "../base/log.ts";
import type { HandedSocket } from "../lifecycle/handed-sockets.ts";
import { ServiceManager } from "../lifecycle/service-manager.ts";
import { waitForStopSignal } from "../lifecycle/signals.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { waitForHandOver } from "./hand-over.ts";

/** Set by `cortex up` in its children: when their standard input ends, their parent is gone and they stop. */
export const SUPERVISED_VARIABLE = "CORTEX_SUPERVISED";

/** How long requests of a role that was handed over may go on once it is told to stop. */
const HURRIED_DRAIN_MS = 30_000;

interface Successor {
  readonly pid: number;
}

/** A started role. */
export interface Role {
  readonly url: string;
  stop(options?: { readonly handedOver?: boolean }): Promise<void>;
  /** What a successor can go on listening on, for SIGUSR2; a role without it cannot be handed over. */
  readonly sockets?: readonly HandedSocket[];
  /** Reads the configuration again and goes on with it, for SIGHUP; a role without it is only told of errors. */
  readonly reload?: () => Promise<void>;
  /** Resolves with an exit code when the role ends by itself. */
  readonly exited?: Promise<number>;
}

/** A role and how its log looks. */
interface ServeOptions {
  readonly role: string;
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Reads the configuration again, for a SIGHUP before the role runs, or to one that cannot reload. */
  readonly checkConfig: () => Promise<unknown>;
  readonly start: (log: LeveledLog) => Promise<Role>;
}

/** Starts a role and keeps the process until a stop signal or the role's own end; returns the exit code. */
export async function serveUntilStopped(options: ServeOptions): Promise<number> {
  const log = createLog(options.level, { format: options.format });
  try {
    return await serve(options, log);
  } finally {
    await log.flush();
  }
}

async function serve(options: ServeOptions, log: LeveledLog): Promise<number> {
  const stopSignal = waitForStopSignal();
  const stopping = new AbortController();
  void stopSignal.then(() => stopping.abort());
  const isSupervised = process.env[SUPERVISED_VARIABLE] === "1";
  // Under `cortex up`, that is the service.
  const manager = new ServiceManager({
    env: isSupervised ? {} : process.env,
    log,
    clock: systemClock,
  });
  let role: Role | undefined;
  onHangup(() => role?.reload ?? (() => checkOnly(options.checkConfig, log)));
  const successor = waitForHandOver({
    role: options.role,
    log,
    findSockets: () => role?.sockets,
    refusal: isSupervised ? "its supervisor would start another one beside it" : undefined,
    signal: stopping.signal,
  });
  role = await options.start(log);
  log.info(`The ${options.role} listens`, { url: role.url });
  void manager.ready();
  const ends: Promise<number | string | Successor>[] = [
    stopSignal,
    successor.then((pid) => ({ pid })),
  ];
  if (role.exited !== undefined) ends.push(role.exited);
  if (isSupervised) ends.push(waitForStdinEnd());
  const end = await Promise.race(ends);
  if (typeof end === "number") {
    log.error(`The ${options.role} ended by itself`, { code: end });
    return end;
  }
  if (typeof end === "string") {
    log.info(`The ${options.role} stops`, { cause: end });
    await Promise.all([role.stop(), manager.stopping()]);
    return EXIT.ok;
  }
  log.info(`The ${options.role} was handed over and lets its requests end`, { successor: end.pid });
  const hurried = stopSignal.then(() => Bun.sleep(HURRIED_DRAIN_MS));
  const stopped = Promise.race([role.stop({ handedOver: true }), hurried]);
  await Promise.all([stopped, manager.handOver(end.pid)]);
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
