import { describe, expect, test } from "bun:test";
import { type FakeNeuron, GIB } from "../../fakes/fake-neuron.ts";
import { fakeNeuron, gatewayOver } from "../fixture.ts";

/** Answers every request when the test says so, in the order of arrival. */
function holdAnswers(neuron: FakeNeuron): PromiseWithResolvers<void>[] {
  const held: PromiseWithResolvers<void>[] = [];
  neuron.answer = async () => {
    const hold = Promise.withResolvers<void>();
    held.push(hold);
    await hold.promise;
    return Response.json({ choices: [] });
  };
  return held;
}

function loadsOf(neuron: FakeNeuron): string[] {
  return neuron.requests
    .filter(({ path }) => path === "/models/load" || path === "/models/unload")
    .map(({ path, body }) => `${path.slice(8)} ${(body as { model: string }).model}`);
}

describe("models that do not fit together", () => {
  test("are served in groups: while one is waited for, the other's requests go on, then wait", async () => {
    const neuron = fakeNeuron()
      .addModel("a", { bytes: 8 * GIB, state: "ready" })
      .addModel("b", { bytes: 8 * GIB });
    const held = holdAnswers(neuron);
    const gateway = await gatewayOver([neuron], { limits: { group_seconds_max: 0.5 } });
    const first = [gateway.chat("a")];
    await gateway.until(() => held.length === 1);
    const other = gateway.chat("b");
    await gateway.until((status) => status.waiting === 1);
    // Within its turn the loaded model takes new requests.
    first.push(gateway.chat("a"));
    await gateway.until(() => held.length === 2);
    // After it they wait, and no request of it is cut. The neuron's plan is asked for again to see whether that holds.
    await neuron.arrived("/models/plan", 2);
    await gateway.until((status) => status.waiting === 1);
    first.push(gateway.chat("a"), gateway.chat("a"));
    await gateway.until((status) => status.waiting === 3);
    expect(loadsOf(neuron)).toEqual([]);
    for (const hold of held.splice(0)) hold.resolve();
    await gateway.until(() => held.length === 1);
    expect(neuron.model("b").state).toBe("ready");
    for (const hold of held.splice(0)) hold.resolve();
    expect((await other).status).toBe(200);
    await gateway.until(() => held.length === 2);
    for (const hold of held.splice(0)) hold.resolve();
    for (const response of await Promise.all(first)) expect(response.status).toBe(200);
    expect(loadsOf(neuron)).toEqual(["unload a", "load b", "unload b", "load a"]);
  });

  test("find room in the order in which they were asked for", async () => {
    const neuron = fakeNeuron().addModel("a", { bytes: 8 * GIB, state: "ready" });
    for (const id of ["b", "c", "d"]) neuron.addModel(id, { bytes: 8 * GIB });
    const held = holdAnswers(neuron);
    const gateway = await gatewayOver([neuron]);
    const answers = [gateway.chat("a")];
    await gateway.until(() => held.length === 1);
    for (const [index, id] of ["d", "b", "c"].entries()) {
      answers.push(gateway.chat(id));
      await gateway.until((status) => status.waiting === index + 1);
    }
    for (let served = 0; served < answers.length; served += 1) {
      await gateway.until(() => held.length === 1);
      held.shift()?.resolve();
    }
    for (const response of await Promise.all(answers)) expect(response.status).toBe(200);
    const loads = loadsOf(neuron).filter((call) => call.startsWith("load"));
    expect(loads).toEqual(["load d", "load b", "load c"]);
  });
});

describe("a load that waits", () => {
  test("lets another go first that needs nobody's room", async () => {
    const neuron = fakeNeuron()
      .addModel("a", { bytes: 8 * GIB, state: "ready" })
      .addModel("b", { bytes: 8 * GIB })
      .addModel("small", { bytes: GIB });
    const held = holdAnswers(neuron);
    const gateway = await gatewayOver([neuron]);
    const answers = [gateway.chat("a")];
    await gateway.until(() => held.length === 1);
    answers.push(gateway.chat("b"));
    await gateway.until((status) => status.waiting === 1);
    answers.push(gateway.chat("small"));
    await gateway.until(() => held.length === 2);
    expect(neuron.model("b").state).toBe("absent");
    held.shift()?.resolve();
    held.shift()?.resolve();
    await gateway.until(() => held.length === 1);
    held.shift()?.resolve();
    for (const response of await Promise.all(answers)) expect(response.status).toBe(200);
  });

  test("and that nobody waits for any more evicts nobody", async () => {
    const neuron = fakeNeuron()
      .addModel("a", { bytes: 8 * GIB, state: "ready" })
      .addModel("b", { bytes: 8 * GIB });
    const held = holdAnswers(neuron);
    const gateway = await gatewayOver([neuron]);
    const first = gateway.chat("a");
    await gateway.until(() => held.length === 1);
    const leaving = new AbortController();
    const body = { model: "b", messages: [] };
    const left = gateway.post("/v1/chat/completions", body, leaving.signal);
    left.catch(() => undefined);
    await gateway.until((status) => status.waiting === 1);
    leaving.abort();
    await gateway.until((status) => status.waiting === 0 && status.loads === 0);
    held.shift()?.resolve();
    expect((await first).status).toBe(200);
    expect(loadsOf(neuron)).toEqual([]);
  });
});

describe("freed memory", () => {
  test("that is not there is made up for by another victim", async () => {
    const neuron = fakeNeuron()
      .addModel("old", { bytes: 4 * GIB, state: "ready", lastUsedMs: 1 })
      .addModel("new", { bytes: 4 * GIB, state: "ready", lastUsedMs: 2 })
      .addModel("wanted", { bytes: 5 * GIB });
    const gateway = await gatewayOver([neuron]);
    const unload = neuron.change.bind(neuron);
    neuron.change = (id, change) => {
      if (id === "old" && change.state === "absent") neuron.lostBytes = 3 * GIB;
      unload(id, change);
    };
    expect((await gateway.chat("wanted")).status).toBe(200);
    expect(loadsOf(neuron)).toEqual(["unload old", "unload new", "load wanted"]);
  });

  test("that never comes ends in 507 with what is missing, without a load", async () => {
    const neuron = fakeNeuron()
      .addModel("old", { bytes: 4 * GIB, state: "ready" })
      .addModel("wanted", { bytes: 9 * GIB });
    const gateway = await gatewayOver([neuron]);
    const unload = neuron.change.bind(neuron);
    neuron.change = (id, change) => {
      if (change.state === "absent") neuron.lostBytes = 4 * GIB;
      unload(id, change);
    };
    const response = await gateway.chat("wanted");
    expect(response.status).toBe(507);
    expect(await response.text()).toContain("device 0 needs 9.00 GiB, has 6.00 GiB free");
    expect(neuron.count("/models/load")).toBe(0);
  });
});

test("a profile's options go with the plan and the load, its kept cache with the unload", async () => {
  const neuron = fakeNeuron()
    .addModel("old", { bytes: 8 * GIB, state: "ready" })
    .addModel("m", { bytes: 8 * GIB });
  const options = { split_mode: "row", tensor_split: [2, 1], draft: "d", device_set: "pair" };
  const profiles = [
    { id: "m", context: 4096, slots: 2, ...options },
    { id: "old", keep_kv: true },
  ];
  const gateway = await gatewayOver([neuron], { profiles });
  expect((await gateway.chat("m")).status).toBe(200);
  const bodyOf = (path: string) => neuron.requests.find((seen) => seen.path === path)?.body;
  const expected = { model: "m", context: 4096, slots: 2, ...options };
  expect(bodyOf("/models/plan")).toMatchObject(expected);
  expect(bodyOf("/models/load")).toMatchObject(expected);
  expect(bodyOf("/models/unload")).toMatchObject({ model: "old", keep_kv: true });
});
