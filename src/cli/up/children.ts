import { ownCommand } from "../own-command.ts";
import { SUPERVISED_VARIABLE } from "../serve-until-stopped.ts";
import type { Child } from "./supervisor.ts";

/**
 * Starts this program once more with other arguments. Its standard input stays open as long as this process lives,
 * which is how it notices a supervisor that was killed. It leads a session of its own, so that a terminal's Ctrl-C
 * reaches the supervisor alone, which then stops its children in order.
 */
export function startChild(args: readonly string[]): Child {
  const child = Bun.spawn([...ownCommand(), ...args], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "inherit",
    env: { ...process.env, [SUPERVISED_VARIABLE]: "1" },
    detached: true,
  });
  return {
    pid: child.pid,
    exited: child.exited,
    kill: (signal) => child.kill(signal),
  };
}
