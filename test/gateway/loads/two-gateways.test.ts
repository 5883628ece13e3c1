import { describe, expect, test } from "bun:test";
import { type FakeNeuron, GIB } from "../../fakes/fake-neuron.ts";
import { fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

const OTHER = "another-gateway";

/** A neuron that counts what runs, with room for one of these models. */
function tightNeuron(...models: string[]): FakeNeuron {
  const neuron = fakeNeuron();
  neuron.strict = true;
  for (const model of models) neuron.addModel(model, { bytes: 8 * GIB });
  return neuron;
}

/** Leases as another gateway would. */
async function leaseElsewhere(neuron: FakeNeuron, leases: Record<string, number>): Promise<void> {
  const body = JSON.stringify({ holder: OTHER, seconds: 60, leases });
  const response = await fetch(`${neuron.url}/models/leases`, { method: "POST", body });
  expect(response.status).toBe(200);
}

/** How often each model was loaded, in the order of their first loads. */
function loadsOf(neuron: FakeNeuron): Record<string, number> {
  const loads: Record<string, number> = {};
  for (const { path, body } of neuron.requests) {
    if (path !== "/models/load") continue;
    const { model } = body as { model: string };
    loads[model] = (loads[model] ?? 0) + 1;
  }
  return loads;
}

async function untilServed(gateway: TestGateway, model: string): Promise<void> {
  expect((await gateway.chat(model)).status).toBe(200);
}

describe("a gateway", () => {
  test("tells a neuron what its requests wait for, and gives it back once they were sent", async () => {
    const neuron = tightNeuron("m");
    neuron.holdLoads = true;
    const gateway = await gatewayOver([neuron]);
    const answers = [gateway.chat("m"), gateway.chat("m")];
    await gateway.until((status) => status.waiting === 2);
    await gateway.until(() => neuron.leased().includes("m"));
    await neuron.arrived("/models/load");
    const plan = neuron.requests.find(({ path }) => path === "/models/plan")?.body;
    const load = neuron.requests.find(({ path }) => path === "/models/load")?.body;
    for (const body of [plan, load]) {
      expect(body).toMatchObject({ lease: { holder: expect.any(String), seconds: 5 } });
    }
    neuron.finishLoad("m");
    for (const response of await Promise.all(answers)) expect(response.status).toBe(200);
    await gateway.until(() => neuron.leased().length === 0);
  });

  test("that stops leaves no lease behind", async () => {
    const neuron = tightNeuron("m");
    neuron.holdLoads = true;
    const gateway = await gatewayOver([neuron]);
    const leaving = new AbortController();
    const body = { model: "m", messages: [] };
    const answer = gateway.post("/v1/chat/completions", body, leaving.signal);
    answer.catch(() => undefined);
    await gateway.until(() => neuron.leased().includes("m"));
    leaving.abort();
    await gateway.until((status) => status.waiting === 0);
    await gateway.stop();
    expect(neuron.leased()).toEqual([]);
  });

  test("leaves alone what another leases, and takes it when that is over", async () => {
    const neuron = tightNeuron("theirs", "ours");
    neuron.change("theirs", { state: "ready" });
    await leaseElsewhere(neuron, { theirs: 2 });
    const gateway = await gatewayOver([neuron]);
    const answer = gateway.chat("ours");
    await neuron.arrived("/models/plan");
    await gateway.until((status) => status.waiting === 1);
    expect(neuron.model("theirs").state).toBe("ready");
    expect(neuron.count("/models/unload")).toBe(0);
    await leaseElsewhere(neuron, {});
    expect((await answer).status).toBe(200);
    expect(neuron.model("theirs").state).toBe("absent");
  });

  test("joins a load that another began, and loads nothing twice", async () => {
    const neuron = tightNeuron("m");
    neuron.holdLoads = true;
    const first = await gatewayOver([neuron]);
    const second = await gatewayOver([neuron]);
    const answers = [first.chat("m"), second.chat("m")];
    await first.until((status) => status.waiting === 1);
    await second.until((status) => status.waiting === 1);
    await neuron.arrived("/models/load");
    neuron.finishLoad("m");
    for (const response of await Promise.all(answers)) expect(response.status).toBe(200);
    expect(neuron.model("m").state).toBe("ready");
  });
});

describe("two gateways", () => {
  test("that want different models in the same memory at once are both served", async () => {
    const neuron = tightNeuron("before", "one", "two");
    neuron.change("before", { state: "ready" });
    const first = await gatewayOver([neuron]);
    const second = await gatewayOver([neuron]);
    await Promise.all([untilServed(first, "one"), untilServed(second, "two")]);
    expect(Object.keys(loadsOf(neuron)).toSorted()).toEqual(["one", "two"]);
    expect(neuron.freeBytes).toBeGreaterThanOrEqual(0);
    for (const gateway of [first, second]) {
      const status = await gateway.until(({ loads }) => loads === 0);
      expect([status.in_flight, status.waiting]).toEqual([0, 0]);
    }
  });

  test("share a neuron also when the one keeps a model busy without end", async () => {
    const neuron = tightNeuron("theirs", "ours");
    neuron.change("theirs", { state: "ready" });
    const limits = { group_seconds_max: 0.05 };
    const busy = await gatewayOver([neuron], { limits });
    const waiting = await gatewayOver([neuron], { limits });
    const held: PromiseWithResolvers<void>[] = [];
    neuron.answer = async (request) => {
      const { model } = request.body as { model: string };
      if (model === "theirs") {
        const hold = Promise.withResolvers<void>();
        held.push(hold);
        await hold.promise;
      }
      return Response.json({ choices: [], usage: {} });
    };
    // The next request always comes before the last one ends.
    const theirs = [busy.chat("theirs")];
    await busy.until(() => held.length === 1);
    const ours = waiting.chat("ours");
    await waiting.until((status) => status.waiting === 1);
    await waiting.until(() => neuron.model("theirs").state === "draining");
    theirs.push(busy.chat("theirs"));
    await busy.until((status) => status.waiting === 1);
    held.shift()?.resolve();
    expect((await ours).status).toBe(200);
    neuron.answer = () => Response.json({ choices: [], usage: {} });
    for (const hold of held.splice(0)) hold.resolve();
    for (const response of await Promise.all(theirs)) expect(response.status).toBe(200);
  });
});
