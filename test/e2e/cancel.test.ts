import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Cluster, chat, type NeuronProcess, waitUntil } from "./processes.ts";

const MODEL = "smollm2-135m-instruct";

/** A client that leaves frees its slot within this time. */
const FREED_WITHIN_MS = 1_000;

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("one", { toml: "[defaults]\nslots = 1\ncontext = 8192" });
  await cluster.startGateway();
  const loaded = await neuron.post("/models/load", { model: MODEL });
  expect(loaded.status).toBe(200);
}, 60_000);

afterAll(() => cluster.stop());

const longAnswer = () => chat(MODEL, { stream: true, max_tokens: 4000, ignore_eos: true });

const longPrompt = () =>
  chat(MODEL, {
    stream: true,
    messages: [{ role: "user", content: `${Math.random()} ${"sea salt wind ship ".repeat(1500)}` }],
  });

async function expectFreed(): Promise<void> {
  await waitUntil(
    async () => {
      const model = await neuron.model(MODEL);
      return model.slots_busy === 0 && model.in_flight === 0 && model.queued === 0;
    },
    { deadlineMs: FREED_WITHIN_MS, what: () => "the slot to be free" },
  );
}

for (const target of ["gateway", "neuron"] as const) {
  const send = (body: unknown, signal: AbortSignal) =>
    target === "gateway"
      ? cluster.post("/v1/chat/completions", body, signal)
      : neuron.post("/v1/chat/completions", body, signal);

  describe(`a client of the ${target} that leaves`, () => {
    test("while its answer is decoded frees the slot within a second", async () => {
      const leave = new AbortController();
      const response = await send(longAnswer(), leave.signal);
      const reader = response.body?.getReader();
      await reader?.read();
      await waitUntil(async () => (await neuron.model(MODEL)).slots_busy === 1);
      leave.abort();
      await expectFreed();
    }, 30_000);

    test("while its prompt is read frees the slot within a second", async () => {
      const leave = new AbortController();
      const pending = send(longPrompt(), leave.signal).catch(() => undefined);
      await waitUntil(async () => (await neuron.model(MODEL)).slots_busy === 1);
      leave.abort();
      await pending;
      await expectFreed();
    }, 30_000);

    test("while it is queued leaves the running request alone", async () => {
      const leaveFirst = new AbortController();
      const first = await send(longAnswer(), leaveFirst.signal);
      const reader = first.body?.getReader();
      await reader?.read();
      const leaveSecond = new AbortController();
      const second = send(longAnswer(), leaveSecond.signal).catch(() => undefined);
      await waitUntil(async () => (await neuron.model(MODEL)).in_flight === 2);
      leaveSecond.abort();
      await second;
      await waitUntil(async () => (await neuron.model(MODEL)).in_flight === 1, {
        deadlineMs: FREED_WITHIN_MS,
      });
      const next = await reader?.read();
      expect(next?.done).toBe(false);
      leaveFirst.abort();
      await expectFreed();
    }, 30_000);
  });
}
