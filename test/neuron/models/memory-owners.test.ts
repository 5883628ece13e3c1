import { afterEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { findKvPlace } from "../../../src/neuron/models/kv-store.ts";
import type { Loaded, Model } from "../../../src/neuron/models/model.ts";
import { realBytes } from "../../../src/neuron/models/real-bytes.ts";
import { residentOf } from "../../../src/neuron/models/resident.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";

const MIB = 1024 ** 2;
/** No process has it: above the kernel's greatest number. */
const DEAD = 4_194_305;
const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

test("a model counts with its real bytes on each device where they are more than planned", () => {
  const parts = { weights: 0, context: 0, compute: 0 };
  const model = {
    ...{ id: "m", state: "ready", pinned: false, lastUsedMs: 0 },
    placement: {
      planned: {
        devices: [
          { index: 0, bytes: 10 },
          { index: 1, bytes: 100 },
        ],
      },
      promptCacheBytes: 0,
    },
    loaded: {
      devices: [
        { index: 0, bytes: 5, ...parts },
        { index: 1, bytes: 130, ...parts },
        { index: 2, bytes: 1, ...parts },
      ],
    },
  } as unknown as Model;
  expect(residentOf(model, { busy: false, leases: [] }).devices).toEqual([
    { index: 0, bytes: 10 },
    { index: 1, bytes: 130 },
    { index: 2, bytes: 1 },
  ]);
});

test("what is gone from a GPU is the load's own only when no other model came or went", () => {
  const loaded = {
    devices: [{ index: 1, bytes: 100 * MIB }],
    taken: [{ index: 1, bytes: 160 * MIB }],
  } as unknown as Loaded;
  const kindOf = () => "gpu" as const;
  expect(realBytes(loaded, { kindOf, isAlone: true })).toEqual([{ index: 1, bytes: 160 * MIB }]);
  expect(realBytes(loaded, { kindOf, isAlone: false })).toEqual([{ index: 1, bytes: 100 * MIB }]);
});

test("caches left behind in host memory are removed, those of other containers are not", async () => {
  const space = /[0-9]+/.exec(await readlink("/proc/self/ns/pid"))?.[0];
  const [own, foreign] = [`cortex-kv-${space}-${DEAD}`, `cortex-kv-1-${DEAD}`].map((name) =>
    join("/dev/shm", name),
  ) as [string, string];
  folders.push(own, foreign);
  for (const folder of folders) await mkdir(folder, { recursive: true });
  const options = { stateFolder: "/nowhere", log: new RecordingLog() };
  const place = await findKvPlace({ keep_in: "memory", keep_mib: 1 }, options);
  expect(place).toMatchObject({
    ...{ isMemory: true, folder: `/dev/shm/cortex-kv-${space}-${process.pid}` },
  });
  expect([existsSync(own), existsSync(foreign)]).toEqual([false, true]);
});
