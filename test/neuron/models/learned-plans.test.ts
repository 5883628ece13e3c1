import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LearnedPlans } from "../../../src/neuron/models/learned-plans.ts";
import type { Estimate } from "../../../src/neuron/models/plan.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";

let folder: string;
let log: RecordingLog;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-plans-"));
  log = new RecordingLog();
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const KEY = { digest: "sha256:1", devices: "cuda0", options: "{}" };
const estimate = (bytes: number, context = 100): Estimate => ({
  bytes: { weights: bytes, context: 0, compute: 0 },
  devices: [{ index: 0, bytes, weights: bytes, context: 0, compute: 0 }],
  context,
  slots: 1,
});

async function open(): Promise<LearnedPlans> {
  const plans = new LearnedPlans({ path: join(folder, "sub/plans.json"), log });
  await plans.read();
  return plans;
}

const bytesOf = ({ devices }: Estimate) => devices[0]?.bytes;

test("what a load took beyond its plan is added to later plans, after a restart too", async () => {
  await (await open()).learn(estimate(1000), KEY, [{ index: 0, bytes: 1300 }]);
  const plans = await open();
  expect(bytesOf(plans.correct(estimate(1000), KEY))).toBe(1300);
  expect(bytesOf(plans.correct(estimate(2000, 200), KEY))).toBe(2300);
});

test("what a load spared is taken off plans of the same shape alone", async () => {
  const plans = await open();
  await plans.learn(estimate(1000), KEY, [{ index: 0, bytes: 900 }]);
  expect(bytesOf(plans.correct(estimate(1000), KEY))).toBe(900);
  expect(bytesOf(plans.correct(estimate(2000, 200), KEY))).toBe(2000);
});

test("another file, device or option is another load", async () => {
  const plans = await open();
  await plans.learn(estimate(1000), KEY, [{ index: 0, bytes: 1300 }]);
  for (const other of [{ digest: "sha256:2" }, { devices: "cuda1" }, { options: "{1}" }]) {
    expect(bytesOf(plans.correct(estimate(1000), { ...KEY, ...other }))).toBe(1000);
  }
});

test("a damaged file is forgotten with one warning and written anew", async () => {
  await Bun.write(join(folder, "sub/plans.json"), '{"version": 1, "loads": [{"key": 3}]}');
  const plans = await open();
  expect(log.lines).toHaveLength(1);
  await plans.learn(estimate(1000), KEY, [{ index: 0, bytes: 1300 }]);
  expect(bytesOf((await open()).correct(estimate(1000), KEY))).toBe(1300);
});

test("a folder that cannot be written costs a warning and no load", async () => {
  await Bun.write(join(folder, "sub"), "a file");
  const plans = await open();
  await plans.learn(estimate(1000), KEY, [{ index: 0, bytes: 1300 }]);
  expect(log.lines).toHaveLength(1);
  expect(bytesOf(plans.correct(estimate(1000), KEY))).toBe(1300);
});
