import { describe, expect, test } from "bun:test";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import type { Device, Health } from "../../../src/protocol/health.ts";
import type { Model } from "../../../src/protocol/models.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";

const DEVICE: Device = {
  ...{ index: 0, kind: "gpu", name: "CUDA0", compute_capability: "9.0", state: "ok" },
  ...{ memory_total_bytes: 8, memory_free_bytes: 8 },
};
const HEALTH: Health = { state: "ok", protocol: 1, version: "1", instance: "i", devices: [DEVICE] };

/** A fleet that has heard of one model, and its log since then. */
function fixture(first: Model["state"] = "absent") {
  const log = new RecordingLog();
  const neurons = [{ name: "a", endpoint: "http://a" }];
  const fleet = new Fleet({ neurons, profiles: { models: [] }, clock: new FakeClock(), log });
  const model = new FakeNeuron().addModel("m", { state: first }).model("m");
  fleet.applySnapshot("a", HEALTH, [model]);
  const tell = (state: Model["state"], more: Partial<Model> = {}) =>
    fleet.applyModel("a", { ...model, state, ...more });
  const entry = fleet.catalogue.find("m");
  if (entry === undefined) throw new Error("No model in the catalogue");
  const texts = () => log.lines.map(({ text }) => text);
  return { fleet, entry, log, model, tell, texts };
}

describe("the log of what becomes of models", () => {
  test("tells each load and unload that somebody else had done, and a state once", () => {
    const { log, tell, texts } = fixture();
    tell("loading", { progress: 0.1 });
    tell("loading", { progress: 0.5 });
    tell("ready", { load_seconds: 3 });
    tell("ready", { in_flight: 1 });
    tell("draining");
    tell("absent");
    expect(texts()).toEqual(["Loading", "Loaded", "Unloaded"]);
    expect(log.has("Loaded", { model: "m", neuron: "a", seconds: 3 })).toBe(true);
  });

  test("says nothing of what was there when it was first heard of", () => {
    const { fleet, model, texts } = fixture("ready");
    fleet.applySnapshot("a", HEALTH, [{ ...model, state: "ready" }]);
    expect(texts()).toEqual([]);
  });

  test("leaves the end of a load and an unload of this gateway to those who tell why", () => {
    const { fleet, entry, tell, texts } = fixture();
    const lease = fleet.hold("a", entry);
    fleet.noteLoading("a", "m", true);
    tell("loading");
    tell("ready");
    // As it comes where the answer to the load was faster than what was told of it.
    tell("loading");
    tell("ready");
    lease.release();
    expect(texts()).toEqual([]);
    fleet.noteNotLoaded("a", "m");
    tell("draining");
    tell("absent");
    expect(texts()).toEqual([]);
    tell("loading");
    tell("ready");
    tell("absent");
    expect(texts()).toEqual(["Loading", "Loaded", "Unloaded"]);
  });

  test("takes back what an unload was refused without a word", () => {
    const { fleet, tell, texts } = fixture("ready");
    fleet.noteNotLoaded("a", "m");
    tell("ready");
    expect(texts()).toEqual([]);
    tell("absent");
    expect(texts()).toEqual(["Unloaded"]);
  });

  test("tells a load that fails or ends, a model that a fault has poisoned, and one whose file goes", () => {
    const { fleet, log, tell, texts } = fixture();
    tell("loading");
    tell("failed", { cause: "no such tensor" });
    expect(log.has("Load failed", { cause: "no such tensor" })).toBe(true);
    tell("loading");
    tell("absent");
    expect(texts().at(-1)).toBe("Load ended before it was done");
    tell("ready");
    tell("poisoned", { cause: "a fault" });
    expect(log.lines.at(-1)).toMatchObject({ level: "error", text: "Model is poisoned" });
    tell("ready");
    fleet.applyEvent("a", { type: "model_gone", id: "m" });
    expect(texts().slice(-2)).toEqual(["Loaded", "Unloaded"]);
  });

  test("tells once that a device is poisoned, and that it is well again", () => {
    const { fleet, log, texts } = fixture();
    const poisoned: Device = { ...DEVICE, state: "poisoned", cause: "a fault" };
    fleet.applyEvent("a", { type: "device", device: poisoned });
    fleet.applyHealth("a", { ...HEALTH, devices: [poisoned] });
    expect(texts()).toEqual(["Device is poisoned"]);
    expect(log.has("Device is poisoned", { neuron: "a", device: 0, cause: "a fault" })).toBe(true);
    fleet.applyHealth("a", HEALTH);
    expect(texts().at(-1)).toBe("Device is well again");
  });
});
