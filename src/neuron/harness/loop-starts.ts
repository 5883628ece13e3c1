import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { DeviceLoop } from "./device-loop.ts";

/** Opening a library takes a fraction of it; after that the next device opens beside one that hangs in its driver. */
const TURN_MS = 10_000;
/** A driver that needs longer than this hangs. */
const OPEN_SECONDS_MAX = 60;

interface Start {
  readonly loop: Promise<DeviceLoop>;
  /** Set when it took too long: whoever wants the device is refused at once until it has opened after all. */
  isLate: boolean;
}

/**
 * Starts device loops one after another, because several Workers that open a library at once have crashed. Owner of
 * the starts on their way. One that hangs holds up the others for seconds, and its own callers for a minute.
 */
export class LoopStarts {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #starts = new Map<string, Start>();
  #turn: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(parts: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /**
   * Begins a start, or joins the one of that name.
   * @throws CortexError unavailable when it takes too long; it goes on meanwhile
   */
  async join(name: string, begin: () => Promise<DeviceLoop>): Promise<DeviceLoop> {
    const start = this.#starts.get(name) ?? this.#add(name, begin);
    if (start.isLate) throw notOpen(name);
    return await start.loop;
  }

  /** No start begins from now on; resolves when those on their way have had their turn. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#turn;
  }

  /** Resolves when the starts on their way have had their turn. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  #add(name: string, begin: () => Promise<DeviceLoop>): Start {
    const late = Promise.withResolvers<never>();
    const opened = this.#turn.then(() => this.#begin(name, begin));
    const start: Start = { loop: Promise.race([opened, late.promise]), isLate: false };
    this.#starts.set(name, start);
    const onTurn = this.#turn;
    this.#turn = onTurn.then(() => this.#settled(opened, TURN_MS));
    void onTurn
      .then(() => this.#settled(opened, OPEN_SECONDS_MAX * 1000))
      .then((hasEnded) => {
        if (hasEnded) return;
        start.isLate = true;
        this.#log.error("device does not open", { device: name, seconds: OPEN_SECONDS_MAX });
        late.reject(notOpen(name));
      });
    const end = (outcome: "opened" | "failed") => {
      this.#starts.delete(name);
      if (start.isLate) this.#log.warn("Late start of a device ended", { device: name, outcome });
    };
    opened.then(
      () => end("opened"),
      () => end("failed"),
    );
    return start;
  }

  async #begin(name: string, begin: () => Promise<DeviceLoop>): Promise<DeviceLoop> {
    if (this.#isStopped) throw new CortexError("unavailable", `Device '${name}' is being stopped`);
    const loop = await begin();
    if (this.#isStopped) void loop.stop();
    return loop;
  }

  /** Whether it settles in time. */
  #settled(promise: Promise<unknown>, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const stopWaiting = this.#clock.after(ms, () => resolve(false));
      const end = () => {
        stopWaiting();
        resolve(true);
      };
      promise.then(end, end);
    });
  }
}

function notOpen(name: string): CortexError {
  return new CortexError(
    "unavailable",
    `Device '${name}' does not open: its driver has not answered for ${OPEN_SECONDS_MAX} s`,
  );
}
