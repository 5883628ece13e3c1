import { expect } from "bun:test";
import { Cluster, waitUntil } from "../processes.ts";

/** The real small model: nothing is asserted of its wit. */
export const MODEL = "smollm2-135m-instruct";

/** A client that leaves frees its slot within this time. */
const FREED_WITHIN_MS = 1_000;

/** More requests at once than {@link startSdkCluster}'s neuron takes: some are told to come back later. */
export const TOO_MANY = 12;

/** A gateway and a neuron with the model loaded and a short queue, so that a test can fill it. */
export async function startSdkCluster(): Promise<Cluster> {
  const cluster = await Cluster.create();
  const neuron = await cluster.addNeuron("one", {
    toml: "[defaults]\nslots = 2\nqueue_max = 2\ncontext = 4096",
  });
  const loaded = await neuron.post("/models/load", { model: MODEL });
  expect(loaded.status).toBe(200);
  await cluster.startGateway();
  return cluster;
}

/** Waits until the neuron works on something. */
export async function waitUntilBusy(cluster: Cluster): Promise<void> {
  await waitUntil(async () => (await modelOf(cluster)).slots_busy > 0, {
    what: () => "a busy slot",
  });
}

/** Fails unless the neuron's own figures say within a second that nothing runs any more. */
export async function expectFreed(cluster: Cluster): Promise<void> {
  await waitUntil(
    async () => {
      const model = await modelOf(cluster);
      return model.slots_busy === 0 && model.in_flight === 0 && model.queued === 0;
    },
    { deadlineMs: FREED_WITHIN_MS, what: () => "free slots" },
  );
}

async function modelOf(cluster: Cluster) {
  const neuron = cluster.neurons[0];
  if (neuron === undefined) throw new Error("The cluster has no neuron");
  return await neuron.model(MODEL);
}

/** What a promise was rejected with; undefined where it was not. */
export async function thrownBy(promise: PromiseLike<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
}
