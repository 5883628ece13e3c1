import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";

/** Hands assignments such as "READY=1" to the service manager's socket; rejects when that cannot be done. */
export type SendNotice = (assignments: readonly string[]) => Promise<void>;

/** Signs of life for each interval that the manager waits for one, so that a single late one ends nothing. */
const SIGNS_PER_INTERVAL = 3;
/** systemd-notify waits up to 5 s for the manager to have read; whatever takes longer hangs. */
const SEND_DEADLINE_MS = 10_000;

/**
 * Tells the service manager (systemd, Type=notify) how this process is; does nothing where there is none. Owner of the
 * order of what is said: one notice at a time, none after `stopping` or `handOver`. Signs of life come from this
 * process's main loop, so that one that hangs is started anew. A notice that is lost is logged and fails nobody.
 */
export class ServiceManager {
  readonly #send: SendNotice | undefined;
  readonly #watchdogMs: number | undefined;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  #last: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly log: Log;
    readonly clock: Clock;
    /** In place of the program systemd-notify. */
    readonly send?: SendNotice;
  }) {
    const { env } = options;
    this.#log = options.log;
    this.#clock = options.clock;
    if (!env["NOTIFY_SOCKET"]) return;
    this.#send = options.send ?? sendByProgram;
    const watchdogUs = Number(env["WATCHDOG_USEC"]);
    if (watchdogUs > 0) this.#watchdogMs = watchdogUs / 1000;
  }

  /** This process serves now. */
  async ready(): Promise<void> {
    await this.#say(["READY=1"]);
    void this.#giveSigns();
  }

  /** It ends on purpose. */
  async stopping(): Promise<void> {
    await this.#say(["STOPPING=1"]);
    this.#ended.abort();
  }

  /**
   * Another process is the service's main one from here on, which speaks for itself. Once this has resolved, this
   * process may end without the service counting as ended.
   */
  async handOver(pid: number): Promise<void> {
    await this.#say([`MAINPID=${pid}`]);
    this.#ended.abort();
  }

  /** One at a time: the manager takes a notice for newer than what it read before. */
  #say(assignments: readonly string[]): Promise<void> {
    this.#last = this.#last.then(async () => {
      if (this.#send === undefined || this.#ended.signal.aborted) return;
      try {
        await this.#send(assignments);
      } catch (error) {
        const notice = assignments.join(" ");
        this.#log.warn("Cannot tell the service manager", { notice, cause: describeError(error) });
      }
    });
    return this.#last;
  }

  async #giveSigns(): Promise<void> {
    if (this.#send === undefined || this.#watchdogMs === undefined) return;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await this.#say(["WATCHDOG=1"]);
      await this.#clock.sleep(this.#watchdogMs / SIGNS_PER_INTERVAL, signal).catch(() => undefined);
    }
  }
}

/**
 * By systemd-notify, which is wherever systemd is: Bun has no datagram sockets of the unix family, and the gateway
 * loads no native code for them. The unit needs NotifyAccess=all for that.
 */
async function sendByProgram(assignments: readonly string[]): Promise<void> {
  const child = Bun.spawn(["systemd-notify", ...assignments], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: SEND_DEADLINE_MS,
  });
  const [errors, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`systemd-notify ended with ${code}: ${errors.trim()}`);
}
