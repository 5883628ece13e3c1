import { expect, test } from "bun:test";
import type { Status } from "../../src/protocol/status.ts";
import { SimulatedNeuron } from "../../src/simulation/simulated-neuron.ts";
import { readSnapshot } from "../../src/simulation/snapshot.ts";
import { VirtualClock } from "../../src/simulation/virtual-clock.ts";
import { GIB, gatewayConfig } from "../sim/scenario.ts";

function deviceOf(index: number, kind: string, gibibytes: number) {
  const bytes = { memory_total_bytes: gibibytes * GIB, memory_free_bytes: 0 };
  return { index, kind, name: kind, compute_capability: null, state: "ok", ...bytes };
}

function statusWith(devices: readonly object[], on: readonly number[]): Status {
  const bytes = { weights: 12 * GIB, context: 2 * GIB, compute: 0 };
  const replica = { neuron: "box", state: "ready", devices: on, context: 4_096, slots: 2, bytes };
  const model = { id: "large", source: "large", file_bytes: 12 * GIB, replicas: [replica] };
  return { neurons: [{ name: "box", devices }], models: [model] } as unknown as Status;
}

function heldOn(devices: readonly object[], on: readonly number[]): number[] {
  const [spec] = readSnapshot(
    statusWith(devices, on),
    gatewayConfig({ neurons: [{ name: "box" }] }),
  );
  if (spec === undefined) throw new Error("No neuron");
  const observer = {
    ...{ onLoadStarted: () => undefined, onLoaded: () => undefined },
    onUnloaded: () => undefined,
  };
  const neuron = new SimulatedNeuron(spec, { clock: new VirtualClock(), observer });
  return spec.devices.map((_, index) => neuron.heldBytes(index) / GIB);
}

test("a model is on the devices that a status shows it on, by their sizes", () => {
  const gpus = [deviceOf(1, "gpu", 24), deviceOf(2, "gpu", 8), deviceOf(3, "gpu", 24)];
  expect(heldOn(gpus, [1, 2])).toEqual([10.5, 3.5, 0]);
  expect(heldOn(gpus, [3])).toEqual([0, 0, 14]);
});

test("the host's memory is no device of its own beside GPUs, as for a neuron", () => {
  const cpu = deviceOf(0, "cpu", 256);
  expect(heldOn([cpu, deviceOf(1, "gpu", 24)], [1])).toEqual([14]);
  expect(heldOn([cpu], [0])).toEqual([14]);
});
