import { describe, expect, test } from "bun:test";
import { PREFIX_HEADER } from "../../../src/protocol/prefixes.ts";
import { answerChat, type FakeNeuron, type FakeRequest } from "../../fakes/fake-neuron.ts";
import { fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

const CHAT = "/v1/chat/completions";
/** 10,000 tokens or so. */
const LONG = "All that is to be read before the question. ".repeat(900);

/** Two neurons that have the model and measure alike. */
function twins(): [FakeNeuron, FakeNeuron] {
  const options = { state: "ready", slots: 2, prefillTokensPerSecond: 1_000 } as const;
  const twin = () => {
    const neuron = fakeNeuron().addModel("m", options);
    // It has all of each prompt cached.
    neuron.answer = (request) => withUsage(request, 10_000);
    return neuron;
  };
  return [twin(), twin()];
}

async function withUsage(request: FakeRequest, tokens: number): Promise<Response> {
  const answer = (await answerChat(request).json()) as object;
  const usage = {
    prompt_tokens: tokens,
    completion_tokens: 2,
    total_tokens: tokens + 2,
    prompt_tokens_details: { cached_tokens: tokens },
  };
  return Response.json({ ...answer, usage });
}

function turns(...contents: readonly string[]) {
  return { messages: contents.map((content) => ({ role: "user", content })) };
}

async function routeOf(response: Response): Promise<string> {
  await response.text();
  expect(response.status).toBe(200);
  return response.headers.get("x-cortex-route") ?? "";
}

/** Keeps the first neuron busy with another request until the returned function is called. */
async function occupy(gateway: TestGateway, neuron: FakeNeuron): Promise<() => Promise<void>> {
  const held = Promise.withResolvers<void>();
  const before = neuron.answer;
  neuron.answer = async (request) => {
    await held.promise;
    return await before(request);
  };
  const busy = gateway.chat("m", turns("Something else"));
  await neuron.arrived(CHAT);
  return async () => {
    neuron.answer = before;
    held.resolve();
    await (await busy).text();
  };
}

describe("routing", () => {
  test("a conversation goes on where it is cached", async () => {
    const [a, b] = twins();
    const gateway = await gatewayOver([a, b]);
    const free = await occupy(gateway, a);
    expect(await routeOf(await gateway.chat("m", turns(LONG)))).toBe("neuron=b; reason=fastest");
    await free();
    const next = turns(LONG, "And now?");
    expect(await routeOf(await gateway.chat("m", next))).toBe("neuron=b; reason=prefix");
    const other = turns(`Another one. ${LONG}`);
    expect(await routeOf(await gateway.chat("m", other))).toBe("neuron=a; reason=fastest");
  });

  test("in whatever dialect a conversation goes on, it is known", async () => {
    const [a, b] = twins();
    const gateway = await gatewayOver([a, b]);
    const free = await occupy(gateway, a);
    await routeOf(await gateway.chat("m", turns(LONG)));
    await free();
    const messages = { model: "m", max_tokens: 9, ...turns(LONG, "And now?") };
    const route = await routeOf(await gateway.post("/v1/messages", messages));
    expect(route).toBe("neuron=b; reason=prefix");
    const input = { model: "m", input: turns(LONG, "And now?").messages };
    expect(await routeOf(await gateway.post("/v1/responses", input))).toBe(
      "neuron=b; reason=prefix",
    );
  });

  test("neurons are told what a prompt begins with, and gateways believe what neurons tell", async () => {
    const [a, b] = twins();
    const gateway = await gatewayOver([a, b]);
    expect(await routeOf(await gateway.chat("m", turns(LONG)))).toContain("neuron=a;");
    const seen = a.requests.find(({ path }) => path === CHAT);
    const hashes = (seen?.headers[PREFIX_HEADER] ?? "").split(",");
    expect(hashes.length).toBeGreaterThan(20);
    a.emit({ type: "prefixes", changes: [{ model: "m", added: [], removed: hashes }] });
    b.emit({ type: "prefixes", changes: [{ model: "m", added: hashes, removed: [] }] });
    // The events come before the changes of other models that follow them.
    a.addModel("a2").change("a2", {});
    b.addModel("b2").change("b2", {});
    await gateway.until(({ models }) => models.length === 3);
    expect(await routeOf(await gateway.chat("m", turns(LONG)))).toBe("neuron=b; reason=prefix");
  });

  test("what was cached is forgotten with the model", async () => {
    const [a, b] = twins();
    const gateway = await gatewayOver([a, b]);
    const free = await occupy(gateway, a);
    await routeOf(await gateway.chat("m", turns(LONG)));
    await free();
    b.change("m", { state: "absent" });
    b.change("m", { state: "ready" });
    b.addModel("b2").change("b2", {});
    await gateway.until(({ models }) => models.length === 2);
    expect(await routeOf(await gateway.chat("m", turns(LONG)))).toBe("neuron=b; reason=fastest");
  });

  test("a session stays on its neuron, but not on one that is busy or gone", async () => {
    const [a, b] = twins();
    const gateway = await gatewayOver([a, b]);
    const ask = async () => {
      const response = await fetch(`${gateway.url}${CHAT}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-session-id": "s-1" },
        body: JSON.stringify({ model: "m", ...turns("Hi") }),
      });
      return await routeOf(response);
    };
    const free = await occupy(gateway, a);
    expect(await ask()).toBe("neuron=b; reason=fastest");
    await free();
    expect(await ask()).toBe("neuron=b; reason=sticky");
    b.change("m", { in_flight: 2 });
    b.change("m", { in_flight: 2, queued: 0 });
    b.addModel("b2").change("b2", {});
    await gateway.until(({ models }) => models.length === 2);
    expect(await ask()).toBe("neuron=a; reason=fastest");
    await a.kill();
    expect(await ask()).toContain("neuron=b;");
  });

  test("the dry run says what each candidate's seconds are made of, and why others are none", async () => {
    const [a, b] = twins();
    const cold = fakeNeuron().addModel("m", { bytes: 4 * 1024 ** 3 });
    const large = fakeNeuron().addModel("m", { bytes: 40 * 1024 ** 3 });
    const barred = fakeNeuron().addModel("m", { state: "ready" });
    const gone = fakeNeuron().addModel("m", { state: "ready" });
    const profiles = [{ id: "m", neurons: ["a", "b", "c", "d", "f"] }];
    const gateway = await gatewayOver([a, b, cold, large, barred, gone], { profiles });
    const free = await occupy(gateway, a);
    await gone.kill();
    await gateway.until(({ neurons }) => neurons[5]?.state === "down");
    const plan = await (
      await gateway.post("/admin/plan", { model: "m", prompt_tokens: 2_000 })
    ).json();
    expect(plan).toMatchObject({
      model: "m",
      choice: { neuron: "b", reason: "fastest", seconds: 2, cold: false },
      candidates: [
        {
          neuron: "b",
          seconds: 2,
          parts: { queue_seconds: 0, prefill_seconds: 2, crowding: 1, load_seconds: 0 },
        },
        {
          neuron: "a",
          seconds: expect.closeTo(8.4, 1),
          parts: { prefill_seconds: 2, crowding: expect.closeTo(4.2, 1) },
        },
        { neuron: "c", fits: "now", evicts: [], parts: { regret_seconds: 0, crowding: 1 } },
        { neuron: "d", fits: "never", why: "too large for its devices" },
      ],
      rejected: [
        { neuron: "e", why: "is not among the neurons of 'm'" },
        { neuron: "f", why: expect.stringContaining("is down (") },
      ],
    });
    await free();
  });

  test("no further neuron loads a model that as many hold as its profile allows", async () => {
    const [a, b] = twins();
    b.change("m", { state: "absent" });
    const profiles = [{ id: "m", replicas_max: 1 }];
    const gateway = await gatewayOver([a, b], { profiles });
    const plan = await (await gateway.post("/admin/plan", { model: "m" })).json();
    expect(plan).toMatchObject({
      choice: { neuron: "a" },
      candidates: [{ neuron: "a" }],
      rejected: [{ neuron: "b", why: "may not load it: 1 of at most 1 neurons hold it" }],
    });
  });
});
