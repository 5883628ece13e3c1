import type { Clock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";
import { HANDED_VARIABLE, type Handed, type HandedSocket, READY } from "./handed-sockets.ts";

/** The first descriptor behind standard input, output and error. */
const FIRST_FD = 3;

export interface SuccessorOptions {
  readonly command: readonly string[];
  readonly sockets: readonly HandedSocket[];
  /** For it to serve; it asks every neuron first. */
  readonly deadlineMs: number;
  readonly clock: Clock;
  /** Ends the wait and the successor. */
  readonly signal: AbortSignal;
}

/**
 * Starts the program once more with these listening sockets as its own and resolves with its process id when it
 * serves. Both share the sockets' queues, so a connection that one does not accept goes to the other. Rejects with
 * `unavailable` when it ends or does not serve in time; it is gone then.
 */
export async function startSuccessor(options: SuccessorOptions): Promise<number> {
  const { command, sockets, deadlineMs, clock, signal } = options;
  const readyFd = FIRST_FD + sockets.length;
  const handed: Handed = {
    sockets: sockets.map((socket, index) => ({ ...socket, fd: FIRST_FD + index })),
    readyFd,
  };
  const child = Bun.spawn([...command], {
    stdio: ["ignore", "inherit", "inherit", ...sockets.map(({ fd }) => fd), "pipe"],
    env: { ...process.env, [HANDED_VARIABLE]: JSON.stringify(handed) },
  });
  // It outlives this process.
  child.unref();
  const done = new AbortController();
  const late = clock
    .sleep(deadlineMs, done.signal)
    .then(() => `it did not serve in ${deadlineMs} ms`);
  late.catch(() => undefined);
  const stopped = Promise.withResolvers<string>();
  const onAbort = () => stopped.resolve("this process stops");
  signal.addEventListener("abort", onAbort, { once: true });
  const ready = readAll(child.stdio[readyFd]).then((text) =>
    text === READY ? undefined : child.exited.then((code) => `it ended with code ${code}`),
  );
  const why = await Promise.race([ready, late, stopped.promise]);
  done.abort();
  signal.removeEventListener("abort", onAbort);
  if (why === undefined) return child.pid;
  child.kill("SIGKILL");
  throw new CortexError("unavailable", `The successor does not serve: ${why}`);
}

/** What is written there until it is closed. */
async function readAll(fd: unknown): Promise<string> {
  if (typeof fd !== "number") throw new Error("The successor has no place to tell that it serves");
  return await new Response(Bun.file(fd).stream()).text();
}
