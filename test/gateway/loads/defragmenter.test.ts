import { afterEach, beforeEach, expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import type { Lease } from "../../../src/gateway/fleet/lease.ts";
import { Defragmenter } from "../../../src/gateway/loads/defragmenter.ts";
import { LeaseKeeper } from "../../../src/gateway/loads/lease-keeper.ts";
import { HttpOrigin } from "../../../src/gateway/upstream/http-origin.ts";
import { HttpNeuronApi } from "../../../src/gateway/upstream/neuron-api.ts";
import { FakeClock, settle } from "../../fakes/fake-clock.ts";
import { FakeNeuron, GIB } from "../../fakes/fake-neuron.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";

const CONTROL = { timeoutMs: 5_000, signal: new AbortController().signal };

let neuron: FakeNeuron;
let origin: HttpOrigin;
let clock: FakeClock;
let fleet: Fleet;
let defragmenter: Defragmenter;
let log: RecordingLog;

beforeEach(async () => {
  neuron = new FakeNeuron()
    .addModel("small", { state: "ready", bytes: GIB })
    .addModel("large", { state: "ready", bytes: 3 * GIB })
    .addModel("absent")
    .start();
  origin = new HttpOrigin({ endpoint: neuron.url, token: undefined });
  const api = new HttpNeuronApi(origin);
  clock = new FakeClock();
  log = new RecordingLog();
  const apis = new Map([["a", api]]);
  const neurons = ["a", "b"].map((name) => ({ name, endpoint: neuron.url }));
  fleet = new Fleet({ neurons, profiles: { models: [] }, clock, log: silentLog });
  fleet.applySnapshot("a", await api.health(CONTROL), await api.models(CONTROL));
  fleet.noteSuccess("a");
  defragmenter = new Defragmenter({
    ...{ fleet, clock, log, afterCycles: 2, apis },
    leases: new LeaseKeeper({ apis, clock, log: silentLog, holder: "test" }),
    inTurn: (_neuron, work) => work(),
  });
});

afterEach(async () => {
  origin.close();
  await neuron.kill();
});

function controlCalls(): string[] {
  return neuron.requests
    .filter(({ path }) => path === "/models/load" || path === "/models/unload")
    .map(({ path, body }) => `${path.slice(8)} ${(body as { model: string }).model}`);
}

test("a device that is due and idle gets its models anew, the largest first", async () => {
  defragmenter.noteLoaded("a", "small");
  defragmenter.noteLoaded("a", "large");
  await defragmenter.defragmentDue();
  expect(controlCalls()).toEqual(["unload large", "unload small", "load large", "load small"]);
  expect(fleet.findReplica("a", "large")?.report?.state).toBe("ready");
  await defragmenter.defragmentDue();
  expect(controlCalls().length).toBe(4);
});

test("the end of the gateway is no failure to tell of", async () => {
  const running = defragmenter.run();
  defragmenter.stop();
  await running;
  expect(log.lines).toEqual([]);
});

test("a device is left alone before it is due", async () => {
  defragmenter.noteLoaded("a", "small");
  await defragmenter.defragmentDue();
  expect(controlCalls()).toEqual([]);
});

test("a neuron in use is left alone until nobody has used it for 30 s", async () => {
  defragmenter.noteLoaded("a", "small");
  defragmenter.noteLoaded("a", "large");
  const entry = fleet.catalogue.find("small");
  if (entry === undefined) throw new Error("The catalogue lacks 'small'");
  const lease = fleet.acquire("a", entry, false);
  await defragmenter.defragmentDue();
  lease.release();
  await defragmenter.defragmentDue();
  expect(controlCalls()).toEqual([]);
  await clock.advance(31_000);
  await defragmenter.defragmentDue();
  expect(controlCalls().length).toBe(4);
});

/** Another neuron that has these models ready. */
function addSecondNeuron(models: readonly string[]): void {
  const other = new FakeNeuron();
  for (const id of models) other.addModel(id, { state: "ready" });
  const health = {
    state: "ok",
    protocol: 1,
    version: "1",
    instance: "other",
    devices: [],
  } as const;
  fleet.applySnapshot("b", { ...health, devices: [] }, [...other.models.values()]);
  fleet.noteSuccess("b");
}

function acquire(id: string): Lease {
  const entry = fleet.catalogue.find(id);
  if (entry === undefined) throw new Error(`The catalogue lacks '${id}'`);
  return fleet.acquire("a", entry, false);
}

/** Where requests for the model may go without waiting for a load. */
function servers(id: string): string[] {
  const entry = fleet.catalogue.find(id);
  return entry === undefined
    ? []
    : fleet.warmCandidates(entry, undefined).map(({ neuron: name }) => name);
}

test("a device whose models others serve, too, is drained and reloaded without an idle moment", async () => {
  addSecondNeuron(["small", "large"]);
  defragmenter.noteLoaded("a", "small");
  defragmenter.noteLoaded("a", "large");
  const lease = acquire("large");
  const done = defragmenter.defragmentDue();
  await settle();
  expect(controlCalls()).toEqual([]);
  expect(servers("large")).toEqual(["b"]);
  lease.release();
  await done;
  expect(controlCalls()).toEqual(["unload large", "unload small", "load large", "load small"]);
  expect(servers("large")).toEqual(["a", "b"]);
});

test("a model that nobody else serves is not drained for it", async () => {
  addSecondNeuron(["large"]);
  defragmenter.noteLoaded("a", "small");
  defragmenter.noteLoaded("a", "large");
  const lease = acquire("small");
  await defragmenter.defragmentDue();
  expect(servers("large")).toEqual(["a", "b"]);
  expect(controlCalls()).toEqual([]);
  lease.release();
});

test("a device is opened again when the other neuron goes while it is drained", async () => {
  addSecondNeuron(["small", "large"]);
  defragmenter.noteLoaded("a", "small");
  defragmenter.noteLoaded("a", "large");
  const lease = acquire("large");
  const done = defragmenter.defragmentDue();
  await settle();
  fleet.noteFailure("b", "gone", "refused");
  await clock.advance(1_000);
  await done;
  expect(servers("large")).toEqual(["a"]);
  expect(controlCalls()).toEqual([]);
  lease.release();
});
