import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withFileLock } from "../../src/hub/file-lock.ts";
import { HurriedClock } from "./hub-fixture.ts";

let folder: string;
const clock = new HurriedClock();
const MODULE = join(import.meta.dir, "../../src/hub/file-lock.ts");
const CLOCK = join(import.meta.dir, "../../src/base/clock.ts");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-lock-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** A process that takes the lock, says so and keeps it. */
async function startHolder(path: string): Promise<Bun.Subprocess<"ignore", "pipe", "inherit">> {
  const script = `
    import { withFileLock } from ${JSON.stringify(MODULE)};
    import { systemClock } from ${JSON.stringify(CLOCK)};
    await withFileLock(${JSON.stringify(path)}, async () => {
      process.stdout.write("held");
      await new Promise(() => setInterval(() => undefined, 1000));
    }, { clock: systemClock });`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stdin: "ignore" });
  const { value } = await child.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("held");
  return child;
}

test("work under one lock runs one after the other within a process", async () => {
  const path = join(folder, "a/lock");
  let running = 0;
  let most = 0;
  const work = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => setImmediate(resolve));
    running -= 1;
  };
  await Promise.all([1, 2, 3].map(() => withFileLock(path, work, { clock })));
  expect(most).toBe(1);
});

test("the lock of a process that was killed is free", async () => {
  const path = join(folder, "lock");
  const holder = await startHolder(path);
  let waits = 0;
  const onWait = () => {
    waits += 1;
    holder.kill("SIGKILL");
  };
  const result = await withFileLock(path, async () => "mine", { clock, onWait });
  expect(result).toBe("mine");
  expect(waits).toBeGreaterThan(0);
});

test("a lock that cannot be one is an error that names it", async () => {
  const path = join(folder, "lock");
  await mkdir(path);
  const work = withFileLock(path, async () => undefined, { clock });
  await expect(work).rejects.toThrow(`Cannot lock ${path}`);
});

test("a wait ends when the signal aborts", async () => {
  const path = join(folder, "lock");
  const abort = new AbortController();
  const held = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const work = () => {
    started.resolve();
    return held.promise;
  };
  const first = withFileLock(path, work, { clock });
  await started.promise;
  const options = { clock, signal: abort.signal, onWait: () => abort.abort(new Error("left")) };
  await expect(withFileLock(path, async () => undefined, options)).rejects.toThrow("left");
  held.resolve();
  await first;
});
