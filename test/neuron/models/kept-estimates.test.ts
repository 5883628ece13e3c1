import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EstimateOf, KeptEstimates } from "../../../src/neuron/models/kept-estimates.ts";
import type { Estimate } from "../../../src/neuron/models/plan.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";

let folder: string;
let log: RecordingLog;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-estimates-"));
  log = new RecordingLog();
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const OF: EstimateOf = {
  job: { op: "estimate", path: "/models/a.gguf", context: 100, slots: 2 },
  digests: ["sha256:1", ""],
  devices: [0, 1],
};
const ESTIMATE: Estimate = {
  bytes: { weights: 30, context: 4, compute: 3 },
  devices: [
    { index: 0, bytes: 26, weights: 20, context: 4, compute: 2 },
    { index: 1, bytes: 11, weights: 10, context: 0, compute: 1 },
  ],
  context: 100,
  slots: 2,
};

async function open(engine: string | undefined = "this boot"): Promise<KeptEstimates> {
  const estimates = new KeptEstimates({ path: join(folder, "estimates.json"), engine, log });
  await estimates.read();
  return estimates;
}

test("an estimate serves the next start", async () => {
  await (await open()).keep(OF, ESTIMATE);
  expect((await open()).find(OF)).toEqual(ESTIMATE);
});

test("another library, file, draft, shape or device has none", async () => {
  await (await open()).keep(OF, ESTIMATE);
  expect((await open("another boot")).find(OF)).toBeUndefined();
  const others = [
    { digests: ["sha256:2", ""] },
    { digests: ["sha256:1", "sha256:2"] },
    { job: { ...OF.job, context: 200 } },
    { devices: [0, 2] },
  ];
  const estimates = await open();
  for (const other of others) expect(estimates.find({ ...OF, ...other })).toBeUndefined();
});

test("a machine that cannot be told from others keeps nothing", async () => {
  const make = () =>
    new KeptEstimates({ path: join(folder, "estimates.json"), engine: undefined, log });
  await make().keep(OF, ESTIMATE);
  const estimates = make();
  await estimates.read();
  expect(estimates.find(OF)).toBeUndefined();
  expect(await Bun.file(join(folder, "estimates.json")).exists()).toBe(false);
});

test("a damaged file is forgotten with one warning", async () => {
  await Bun.write(join(folder, "estimates.json"), '{"version": 1, "loads": [{"key": "k"}]}');
  expect((await open()).find(OF)).toBeUndefined();
  expect(log.lines).toHaveLength(1);
});
