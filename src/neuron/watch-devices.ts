import type { DeviceFigures } from "bun-ffi-cuda-bindings-local/engine";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { DeviceLoop } from "./harness/device-loop.ts";
import type { Harness } from "./harness/harness.ts";
import type { EngineFault } from "./native/event-pump.ts";

const CHECK_MS = 1_000;
/** Below this a busy host could look like a hanging one, whatever the configuration says. */
const LIMIT_SECONDS_MIN = 30;
/** A step so many times the longest one so far is no slow step any more. */
const STEP_FACTOR = 20;
/** A load shows progress, but its last part, an unload or a file of KV does not. */
const JOB_FACTOR = 10;
/** Each thread that hangs in preparing takes a CPU for good; this many are borne. */
const STUCK_MAX = 2;

/** What the watch tells. */
export interface DeviceWatchListener {
  /** A loop does not come by any more; it can only be replaced with its process. */
  onStalled(fault: EngineFault): void;
  /** Too many threads hang in preparing requests; only a new process is rid of them. */
  onExhausted(cause: string): void;
}

/** Milliseconds after which a loop that does not come by counts as hanging; never for 0 seconds. */
export function stallLimitMs(figures: DeviceFigures, watchdogSeconds: number): number {
  if (watchdogSeconds === 0) return Number.POSITIVE_INFINITY;
  const floorMs = Math.max(LIMIT_SECONDS_MIN, watchdogSeconds) * 1000;
  const limitMs = Math.max(floorMs, STEP_FACTOR * figures.longest_step_ms);
  return figures.doing === "job" ? limitMs * JOB_FACTOR : limitMs;
}

/**
 * Looks every second whether the device loops still come by, until the signal aborts. A loop that hangs is told of
 * once and takes no more work; its open requests are failed, so that their clients may go elsewhere.
 */
export async function watchDevices(parts: {
  readonly harness: Harness;
  readonly watchdogSeconds: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly listener: DeviceWatchListener;
}): Promise<void> {
  const { harness, clock, signal } = parts;
  const exhausted = new Set<DeviceLoop>();
  for (;;) {
    try {
      await clock.sleep(CHECK_MS, signal);
    } catch {
      // The neuron stops.
      return;
    }
    for (const loop of harness.threads()) {
      const figures = loop.state === "ok" ? loop.figures() : undefined;
      if (figures === undefined) continue;
      checkTurn(loop, { ...parts, figures });
      const stuck = figures.preparing_stuck;
      if (stuck <= STUCK_MAX || exhausted.has(loop)) continue;
      exhausted.add(loop);
      const cause = `${stuck} requests hang in preparing, at most ${STUCK_MAX} are borne`;
      parts.log.error("device degraded", { device: loop.name, cause });
      parts.listener.onExhausted(`Device '${loop.name}': ${cause}`);
    }
  }
}

function checkTurn(
  loop: DeviceLoop,
  parts: {
    readonly figures: DeviceFigures;
    readonly watchdogSeconds: number;
    readonly listener: DeviceWatchListener;
  },
): void {
  const { figures } = parts;
  const limitMs = stallLimitMs(figures, parts.watchdogSeconds);
  const isIdle = loop.openCount === 0 && figures.doing === "";
  if (isIdle || figures.turn_ms_ago <= limitMs) return;
  const seconds = Math.round(figures.turn_ms_ago / 1000);
  const phase = figures.doing === "" ? "idle" : figures.doing;
  const cause = `stalled: no step for ${seconds} s in ${phase}, at most ${limitMs / 1000} s`;
  loop.giveUp(cause);
  parts.listener.onStalled({ device: loop.name, model: null, scope: "device", phase, cause });
}
