import { expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import { type Child, Supervisor } from "../../../src/cli/up/supervisor.ts";
import { FakeClock, settle } from "../../fakes/fake-clock.ts";

/** Children that end when the test says so. */
class FakeChildren {
  readonly signals: NodeJS.Signals[] = [];
  readonly ends: ((code: number) => void)[] = [];
  obeys = true;

  start(): Child {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ends.push(resolve);
    return {
      pid: this.ends.length,
      exited: promise,
      kill: (signal) => {
        this.signals.push(signal);
        if (this.obeys || signal === "SIGKILL") resolve(signal === "SIGKILL" ? 137 : 0);
      },
    };
  }

  async end(code: number): Promise<void> {
    this.ends.at(-1)?.(code);
    await settle();
  }
}

function supervise() {
  const clock = new FakeClock();
  const children = new FakeChildren();
  const start = () => children.start();
  const supervisor = new Supervisor({ name: "neuron", start, clock, log: silentLog });
  supervisor.start();
  return { clock, children, supervisor };
}

test("a child that ends is started again within a second", async () => {
  const { clock, children, supervisor } = supervise();
  await children.end(1);
  expect(supervisor.pid).toBeUndefined();
  await clock.advance(999);
  expect(children.ends).toHaveLength(2);
  expect(supervisor.pid).toBe(2);
  await supervisor.stop(1000);
});

test("quick ends wait longer each time, and the fifth one gives up", async () => {
  const { clock, children, supervisor } = supervise();
  for (const [index, delayMs] of [200, 400, 800, 1600].entries()) {
    await children.end(1);
    await clock.advance(delayMs - 1);
    expect(children.ends).toHaveLength(index + 1);
    await clock.advance(1);
    expect(children.ends).toHaveLength(index + 2);
  }
  await children.end(139);
  await expect(supervisor.gaveUp).rejects.toThrow("ended with code 139 5 times in a row");
});

test("a child that lived long is started again at once, however often", async () => {
  const { clock, children, supervisor } = supervise();
  for (let life = 1; life <= 10; life++) {
    await clock.advance(31_000);
    await children.end(1);
    await clock.advance(200);
    expect(children.ends).toHaveLength(life + 1);
  }
  await supervisor.stop(1000);
});

test("a usage error is never tried again", async () => {
  const { children, supervisor } = supervise();
  await children.end(2);
  await expect(supervisor.gaveUp).rejects.toThrow("ended with code 2, see its lines above");
  expect(children.ends).toHaveLength(1);
});

test("stop asks the child, waits for it and starts no other", async () => {
  const { clock, children, supervisor } = supervise();
  await supervisor.stop(1000);
  await clock.advance(60_000);
  expect(children.signals).toEqual(["SIGTERM"]);
  expect(children.ends).toHaveLength(1);
});

test("a child that does not stop in time is killed", async () => {
  const { clock, children, supervisor } = supervise();
  children.obeys = false;
  const stopped = supervisor.stop(1000);
  await clock.advance(1000);
  await stopped;
  expect(children.signals).toEqual(["SIGTERM", "SIGKILL"]);
});

test("stop during the pause before a restart ends the pause", async () => {
  const { children, supervisor } = supervise();
  await children.end(1);
  await supervisor.stop(1000);
  expect(children.ends).toHaveLength(1);
});
