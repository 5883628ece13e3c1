import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Log, silentLog } from "../../src/base/log.ts";
import { loadGatewayConfig } from "../../src/config/load-gateway-config.ts";
import { listSecretFiles } from "../../src/config/secret.ts";
import { ConfigReloader, readStamps } from "../../src/lifecycle/config-reloader.ts";
import { FakeClock } from "../fakes/fake-clock.ts";

let folder = "";
let reloader: { stop(): void } | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-reload-"));
});

afterEach(async () => {
  reloader?.stop();
  await rm(folder, { recursive: true });
});

const text = (queueMax: number) => `[limits]\nqueue_max = ${queueMax}\n`;

/** A reloader over a file, with what it applied and logged. */
async function reloading(more = "") {
  const file = join(folder, "cortex.toml");
  await Bun.write(file, text(1) + more);
  const clock = new FakeClock();
  const applied: number[] = [];
  const lines: string[] = [];
  const log: Log = {
    ...silentLog,
    info: (line) => lines.push(line),
    error: (line, fields) => lines.push(`${line}: ${fields?.["cause"]}`),
  };
  const load = async () => {
    const { config } = await loadGatewayConfig({ file });
    return { config, files: [file], secretFiles: listSecretFiles(config) };
  };
  const apply = ({ config }: Awaited<ReturnType<typeof load>>) => {
    applied.push(config.limits.queue_max);
    return { settings: "limits.queue_max" };
  };
  const watched = [file];
  const stamps = await readStamps(watched);
  const first = await load();
  const secretStamps = await readStamps(first.secretFiles);
  const options = { first, load, apply, clock, log, watched, stamps, secretStamps };
  const made = new ConfigReloader(options);
  reloader = made;
  return { file, clock, applied, lines, reloader: made };
}

/** Looks at the files once; the disk answers in its own time. */
async function look(clock: FakeClock): Promise<void> {
  await clock.advance(2_000);
  await Bun.file(import.meta.path).stat();
  await clock.advance(0);
  await Bun.file(import.meta.path).stat();
  await clock.advance(0);
}

async function until(clock: FakeClock, isDone: () => boolean): Promise<void> {
  for (let tries = 0; tries < 50 && !isDone(); tries += 1) await look(clock);
}

describe("configuration reloader", () => {
  test("a signal reads the file at once", async () => {
    const { file, applied, lines, reloader } = await reloading();
    await Bun.write(file, text(2));
    await reloader.reload("SIGHUP");
    expect(applied).toEqual([2]);
    expect(lines).toEqual(["Configuration applied"]);
  });

  test("a file that changes is taken once, whether written or replaced", async () => {
    const { file, clock, applied, reloader } = await reloading();
    void reloader.run();
    await look(clock);
    await Bun.write(file, text(22));
    await until(clock, () => applied.length === 1);
    await Bun.write(`${file}.new`, text(333));
    await rename(`${file}.new`, file);
    await until(clock, () => applied.length === 2);
    for (let looks = 0; looks < 5; looks += 1) await look(clock);
    expect(applied).toEqual([22, 333]);
  });

  test("a change between the first reading and the first look is taken", async () => {
    const { file, clock, applied, reloader } = await reloading();
    await Bun.write(file, text(5555));
    void reloader.run();
    await until(clock, () => applied.length === 1);
    expect(applied).toEqual([5555]);
  });

  test("a file with an error is refused whole, told once, and the next good one is taken", async () => {
    const { file, clock, applied, lines, reloader } = await reloading();
    void reloader.run();
    await look(clock);
    await Bun.write(file, "[limits]\nqueue_max = -5\n");
    await until(clock, () => lines.length === 1);
    for (let looks = 0; looks < 5; looks += 1) await look(clock);
    expect(applied).toEqual([]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("refused");
    expect(lines[0]).toContain("cortex.toml:2");
    await Bun.write(file, text(4));
    await until(clock, () => applied.length === 1);
    expect(applied).toEqual([4]);
  });

  test("a secret's file that changes is taken once, also one that a reload has brought", async () => {
    const neuron = (name: string) =>
      `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}:1"\ntoken_file = "${name}.key"\n`;
    for (const name of ["a", "b"]) await Bun.write(join(folder, `${name}.key`), "one");
    const { file, clock, applied, lines, reloader } = await reloading(neuron("a"));
    void reloader.run();
    await look(clock);
    await Bun.write(join(folder, "a.key"), "other");
    await until(clock, () => applied.length === 1);
    await Bun.write(join(folder, "a.key"), "");
    await until(clock, () => lines.length === 2);
    expect(lines[1]).toContain("a.key is empty");
    await Bun.write(join(folder, "a.key"), "third");
    await until(clock, () => applied.length === 2);

    await Bun.write(file, text(1) + neuron("a") + neuron("b"));
    await until(clock, () => applied.length === 3);
    for (let looks = 0; looks < 3; looks += 1) await look(clock);
    expect(applied).toHaveLength(3);
    await Bun.write(join(folder, "b.key"), "another");
    await until(clock, () => applied.length === 4);
    for (let looks = 0; looks < 3; looks += 1) await look(clock);
    expect(applied).toHaveLength(4);
  });

  test("a file that is gone leaves everything as it is", async () => {
    const { file, applied, lines, reloader } = await reloading();
    await rm(file);
    await reloader.reload("SIGHUP");
    expect(applied).toEqual([]);
    expect(lines[0]).toContain("Cannot read");
  });

  test("a default file that is gone is no reason to go on without any neuron", async () => {
    const { applied, lines } = await reloading();
    const first = { ...(await loadGatewayConfig({ folder })), secretFiles: [] };
    const other = new ConfigReloader({
      first: { ...first, files: ["/etc/cortex/cortex.toml"] },
      load: async () => ({ ...first, files: [] }),
      apply: () => {
        applied.push(0);
        return {};
      },
      clock: new FakeClock(),
      log: { ...silentLog, error: (line, fields) => lines.push(`${line}: ${fields?.["cause"]}`) },
      watched: [],
      ...{ stamps: "", secretStamps: "" },
    });
    await other.reload("SIGHUP");
    expect(applied).toEqual([]);
    expect(lines[0]).toContain("/etc/cortex/cortex.toml is gone");
  });
});
