import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorDrain } from "../../src/neuron/operator-drain.ts";
import type { Health } from "../../src/protocol/health.ts";
import { NeuronFixture } from "./fixture.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-drain-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function open(listen: string, state = join(folder, "state")): Promise<OperatorDrain> {
  const drain = new OperatorDrain({ folder: state, listen });
  await drain.read();
  return drain;
}

describe("a drain", () => {
  test("is kept over restarts until it is taken back", async () => {
    const first = await open("127.0.0.1:13131");
    expect(first.isDrained).toBe(false);
    await first.set(true);
    const second = await open("127.0.0.1:13131");
    expect(second.isDrained).toBe(true);
    await second.set(false);
    expect((await open("127.0.0.1:13131")).isDrained).toBe(false);
  });

  test("is that of one daemon of the host", async () => {
    await (await open("[::1]:13230")).set(true);
    expect((await open("[::1]:13230")).isDrained).toBe(true);
    expect((await open("[::1]:13231")).isDrained).toBe(false);
  });

  test("of a daemon that nobody will find again ends with it", async () => {
    const first = await open("127.0.0.1:0");
    await first.set(true);
    expect(first.isDrained).toBe(true);
    expect((await open("127.0.0.1:0")).isDrained).toBe(false);
  });

  test("that cannot be kept is refused, and is none", async () => {
    await Bun.write(join(folder, "file"), "");
    const drain = await open("127.0.0.1:13131", join(folder, "file"));
    await expect(drain.set(true)).rejects.toThrow("Cannot keep the drain in");
    expect(drain.isDrained).toBe(false);
  });
});

test("a neuron says that it is drained, and serves on", async () => {
  const fixture = await NeuronFixture.start();
  try {
    await fixture.load("alpha");
    const health = async () => (await (await fixture.get("/health")).json()) as Health;
    expect((await health()).drained).toBe(false);
    const body = JSON.stringify({ drained: true });
    const url = `${fixture.neuron.url}/drain`;
    const answer = await fetch(url, { method: "POST", body });
    expect(await answer.json()).toMatchObject({ state: "ok", drained: true });
    expect((await health()).drained).toBe(true);
    expect((await fixture.chat({ max_tokens: 1 })).status).toBe(200);
  } finally {
    await fixture.stop();
  }
});
