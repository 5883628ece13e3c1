import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../../src/base/log.ts";
import type { ProbeReport } from "../../../src/neuron/native/probe.ts";
import {
  describeMachine,
  type ProbeMemory,
  tryOnce,
} from "../../../src/neuron/native/remembered-probe.ts";

const GOOD: ProbeReport = { ok: true, flavour: "cpu", backends: ["CPU"], deviceKinds: ["cpu"] };

describe("a remembered probe", () => {
  let folder: string;
  let library: string;
  let tries: number;
  let report: ProbeReport;
  let machine: string | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cortex-probe-"));
    library = join(folder, "libneuron_cpu.so");
    await Bun.write(library, "one");
    tries = 0;
    report = GOOD;
    machine = "this boot";
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const memory = (record = join(folder, "cache/probe.json")): ProbeMemory => ({
    record,
    tryLibrary: async () => {
      tries += 1;
      return report;
    },
    machine: () => machine,
    files: [],
    log: silentLog,
  });

  async function triesOfTwoStarts(between: () => unknown = () => undefined, record?: string) {
    expect(await tryOnce(library, memory(record))).toEqual(report);
    await between();
    expect(await tryOnce(library, memory(record))).toEqual(report);
    return tries;
  }

  test("serves the next start of the same boot", async () => {
    expect(await triesOfTwoStarts()).toBe(1);
  });

  test("is made anew for another file, after a boot, and when its record is damaged", async () => {
    expect(await triesOfTwoStarts(() => Bun.write(library, "other"))).toBe(2);
    expect(await triesOfTwoStarts(() => (machine = "another boot"))).toBe(3);
    expect(await triesOfTwoStarts(() => Bun.write(join(folder, "cache/probe.json"), "{"))).toBe(4);
  });

  test("is neither a failure's nor a GPU's", async () => {
    report = { ok: false, cause: "Its probe ended with SIGILL" };
    expect(await triesOfTwoStarts()).toBe(2);
    report = { ...GOOD, deviceKinds: ["cpu", "gpu"] };
    expect(await triesOfTwoStarts()).toBe(4);
  });

  test("is left out where the kernel tells nothing or the cache cannot be written", async () => {
    machine = undefined;
    expect(await triesOfTwoStarts()).toBe(2);
    machine = "this boot";
    expect(await triesOfTwoStarts(undefined, join(library, "probe.json"))).toBe(4);
  });

  test("knows this machine by its boot and its CPU", () => {
    expect(describeMachine()).toBe(describeMachine());
    expect(describeMachine()).toContain("processor");
  });
});
