import { describe, expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { ServiceManager } from "../../src/lifecycle/service-manager.ts";
import { FakeClock, settle } from "../fakes/fake-clock.ts";

const UNIT = { NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "30000000" };

/** A manager's socket that keeps what it is sent. */
function listen(env: Readonly<Record<string, string>>) {
  const heard: string[] = [];
  const warnings: string[] = [];
  const clock = new FakeClock();
  const refusal: { cause?: string } = {};
  const manager = new ServiceManager({
    env,
    clock,
    log: { ...silentLog, warn: (text) => void warnings.push(text) },
    send: async (assignments) => {
      if (refusal.cause !== undefined) throw new Error(refusal.cause);
      heard.push(assignments.join(" "));
    },
  });
  return { manager, heard, warnings, clock, refusal };
}

describe("the service manager", () => {
  test("hears that the process serves, lives and ends", async () => {
    const { manager, heard, clock } = listen(UNIT);
    await manager.ready();
    await settle();
    expect(heard).toEqual(["READY=1", "WATCHDOG=1"]);
    await clock.advance(10_000);
    await clock.advance(10_000);
    expect(heard.slice(2)).toEqual(["WATCHDOG=1", "WATCHDOG=1"]);
    await manager.stopping();
    await clock.advance(60_000);
    expect(heard.slice(4)).toEqual(["STOPPING=1"]);
  });

  test("hears nothing more of a process once another one is the main one", async () => {
    const { manager, heard, clock } = listen(UNIT);
    await manager.ready();
    await settle();
    await manager.handOver(4711);
    await manager.stopping();
    await clock.advance(60_000);
    expect(heard).toEqual(["READY=1", "WATCHDOG=1", "MAINPID=4711"]);
  });

  test("gets no signs of life that it does not wait for", async () => {
    const { manager, heard, clock } = listen({ NOTIFY_SOCKET: UNIT.NOTIFY_SOCKET });
    await manager.ready();
    await clock.advance(60_000);
    expect(heard).toEqual(["READY=1"]);
  });

  test("is told nothing where there is none", async () => {
    const { manager, heard } = listen({ WATCHDOG_USEC: "30000000" });
    await manager.ready();
    await manager.stopping();
    expect(heard).toEqual([]);
  });

  test("that cannot be reached is logged and tried again", async () => {
    const { manager, heard, warnings, clock, refusal } = listen(UNIT);
    refusal.cause = "no such file";
    await manager.ready();
    await settle();
    expect(warnings).toEqual([
      "Cannot tell the service manager",
      "Cannot tell the service manager",
    ]);
    delete refusal.cause;
    await clock.advance(10_000);
    expect(heard).toEqual(["WATCHDOG=1"]);
  });
});
