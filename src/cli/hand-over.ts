import { systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { HandedSocket } from "../lifecycle/handed-sockets.ts";
import { startSuccessor } from "../lifecycle/start-successor.ts";
import { ownCommand } from "./own-command.ts";

/** A successor waits a second for the neurons' first word; the rest is a slow disk. */
const SUCCESSOR_START_MS = 60_000;

export interface HandOverOptions {
  readonly role: string;
  readonly log: Log;
  /** What the role listens on; undefined while it starts, and where it cannot be handed over. */
  readonly findSockets: () => readonly HandedSocket[] | undefined;
  /** Why it may not be handed over; undefined when it may. */
  readonly refusal: string | undefined;
  /** The role stops: no successor is started any more. */
  readonly signal: AbortSignal;
}

/**
 * On SIGUSR2 starts the program that lies now where this one was started from, with the same arguments. Resolves with
 * the successor's process id once it serves; until then, and when it does not come to that, everything stays as it is.
 */
export function waitForHandOver(options: HandOverOptions): Promise<number> {
  const { role, log, findSockets, refusal, signal } = options;
  const { promise, resolve } = Promise.withResolvers<number>();
  // Now: once the file is replaced, its name is another one.
  const command = [...ownCommand(), ...process.argv.slice(2)];
  let isUnderWay = false;
  const handOver = async () => {
    const sockets = findSockets();
    const why = sockets === undefined ? "it has nothing to hand over" : refusal;
    if (sockets === undefined || why !== undefined || isUnderWay || signal.aborted) {
      log.warn(`The ${role} is not handed over`, {
        cause: why ?? "another hand-over is under way",
      });
      return;
    }
    isUnderWay = true;
    log.info(`The ${role} starts its successor`);
    try {
      const deadlineMs = SUCCESSOR_START_MS;
      resolve(await startSuccessor({ command, sockets, deadlineMs, clock: systemClock, signal }));
    } catch (error) {
      isUnderWay = false;
      log.error(`The ${role} goes on`, { cause: describeError(error) });
    }
  };
  process.on("SIGUSR2", () => void handOver());
  return promise;
}
