import { describe, expect, test } from "bun:test";
import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { REQUESTS_KEPT_MAX } from "../../../src/gateway/proxy/recent-requests.ts";
import {
  type RequestExplanation,
  RequestExplanationSchema,
  type RequestList,
  RequestListSchema,
} from "../../../src/protocol/requests.ts";
import { GIB } from "../../fakes/fake-neuron.ts";
import { errorOf, fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

async function ask(gateway: TestGateway, path: string, schema: TSchema): Promise<unknown> {
  const response = await fetch(`${gateway.url}/admin/requests${path}`);
  expect([path, response.status]).toEqual([path, 200]);
  const answer: unknown = await response.json();
  expect([...Value.Errors(schema, answer)].map(({ path: at, message }) => at + message)).toEqual(
    [],
  );
  return answer;
}

const list = async (gateway: TestGateway, query = "") =>
  (await ask(gateway, query, RequestListSchema)) as RequestList;
const explain = async (gateway: TestGateway, id: string) =>
  (await ask(gateway, `/${id}`, RequestExplanationSchema)) as RequestExplanation;

const chatAs = (gateway: TestGateway, id: string, model: string, said = "hello") =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "x-request-id": id, "user-agent": "probe/1.2 (test)" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: said }] }),
  });

describe("the record of requests", () => {
  test("keeps who was weighed and why, with no word of what was said", async () => {
    const busy = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 10 });
    const fast = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1_000 });
    const gateway = await gatewayOver([busy, fast]);
    await gateway.until(({ models }) => models[0]?.replicas.length === 2);
    await chatAs(gateway, "first", "m", "a secret word");
    const told = await explain(gateway, "first");
    expect(told).toMatchObject({
      ...{ number: 1, id: "first", endpoint: "chat", model: "m", client: "probe/1.2 (test)" },
      ...{ neuron: "b", reason: "fastest", outcome: "ok", status: 200, attempts: 1, evicted: [] },
    });
    const [choice] = told.choices;
    expect(choice?.candidates.map(({ neuron, chosen }) => [neuron, chosen])).toEqual([
      ["b", true],
      ["a", false],
    ]);
    for (const { seconds, parts } of choice?.candidates ?? []) {
      expect(seconds).toBeCloseTo(parts.prefill_seconds * parts.crowding, 2);
    }
    expect(choice?.sent_seconds).toBeGreaterThanOrEqual(0);
    expect(JSON.stringify(told)).not.toContain("secret");
  });

  test("tells a load, what was evicted for it and why, and how long the request waited", async () => {
    const neuron = fakeNeuron()
      .addModel("old", { bytes: 8 * GIB, state: "ready" })
      .addModel("new", { bytes: 8 * GIB });
    const gateway = await gatewayOver([neuron]);
    await gateway.until(({ models }) => models.length === 2);
    await chatAs(gateway, "warm", "old");
    neuron.holdLoads = true;
    const answers = [chatAs(gateway, "one", "new"), chatAs(gateway, "two", "new")];
    await gateway.until(({ waiting }) => waiting === 2);
    await gateway.until(({ models }) => models.some(({ state }) => state === "loading"));
    const waiting = await explain(gateway, "one");
    expect(waiting).toMatchObject({ outcome: "running", reason: "cold", evicted: ["old"] });
    expect(waiting.choices[0]?.load?.seconds).toBeUndefined();
    neuron.finishLoad("new");
    await Promise.all(answers);
    const [one, two] = [await explain(gateway, "one"), await explain(gateway, "two")];
    const [cold] = one.choices[0]?.candidates ?? [];
    expect(cold).toMatchObject({ neuron: "a", chosen: true, cold: true });
    expect(cold?.parts.regret_seconds).toBeGreaterThan(0);
    const load = one.choices[0]?.load;
    expect(load).toMatchObject({
      ...{ joined: false, origin: "request" },
      evicted: [{ model: "old", strategy: "lru", was_busy: false, freed_bytes: 8 * GIB }],
    });
    expect(load?.evicted[0]?.idle_seconds).toBeGreaterThanOrEqual(0);
    expect(load?.seconds).toBeGreaterThanOrEqual(load?.room_seconds ?? 1);
    expect(one.load_seconds).toBe(load?.waited_seconds as number);
    expect(two.choices[0]?.load).toMatchObject({ joined: true, evicted: [{ model: "old" }] });
  });

  test("tells each neuron that was tried, and what it failed with", async () => {
    const bad = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1_000 });
    const good = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 10 });
    bad.answer = () => new Response("{}", { status: 500 });
    const gateway = await gatewayOver([bad, good]);
    await gateway.until(({ models }) => models[0]?.replicas.length === 2);
    await chatAs(gateway, "twice", "m");
    const { choices, outcome, attempts } = await explain(gateway, "twice");
    expect({ outcome, attempts }).toEqual({ outcome: "ok", attempts: 2 });
    expect(choices.map(({ neuron, failure }) => [neuron, failure?.message])).toEqual([
      ["a", "Neuron a answered 500"],
      ["b", undefined],
    ]);
  });

  test("tells why nobody took a request", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.loadFailure = "the file is broken";
    const gateway = await gatewayOver([neuron]);
    await gateway.until(({ models }) => models.length === 1);
    await chatAs(gateway, "failed", "m");
    const told = await explain(gateway, "failed");
    expect(told.outcome).toBe("load_failed");
    expect(told.failure?.message).toContain("the file is broken");
    expect(told.rejected?.[0]).toMatchObject({ neuron: "a" });
    expect(told.rejected?.[0]?.why).toContain("failed to load it");
  });

  test("lists the newest first, those of one model, and what came after a number", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" }).addModel("n", { state: "ready" });
    const gateway = await gatewayOver([neuron], { profiles: [{ id: "n", aliases: ["nn"] }] });
    await gateway.until(({ models }) => models.length === 2);
    for (const [id, model] of Object.entries({ r1: "m", r2: "n", r3: "none", r4: "m" })) {
      await chatAs(gateway, id, model);
    }
    const idsOf = ({ requests }: RequestList) => requests.map(({ id }) => id);
    const all = await list(gateway);
    expect([all.newest, ...idsOf(all)]).toEqual([4, "r4", "r3", "r2", "r1"]);
    expect(all.requests[1]).toMatchObject({ outcome: "model_not_found", status: 404 });
    expect(JSON.stringify(all.requests[1])).not.toContain('"none"');
    expect(idsOf(await list(gateway, "?limit=1"))).toEqual(["r4"]);
    expect(idsOf(await list(gateway, "?model=nn"))).toEqual(["r2"]);
    expect(idsOf(await list(gateway, "?after=3"))).toEqual(["r4"]);
  });

  test("says what is wrong with a question", async () => {
    const gateway = await gatewayOver([]);
    const wrong: readonly [query: string, status: number, message: string][] = [
      ["/gone", 404, `remembers its last ${REQUESTS_KEPT_MAX} requests`],
      ["?limit=201", 400, "Cannot list 201 requests: at most 200"],
      ["?limit=many", 400, "Query: /limit"],
      ["?model=gone", 404, "Model 'gone' does not exist"],
    ];
    for (const [query, status, message] of wrong) {
      const response = await fetch(`${gateway.url}/admin/requests${query}`);
      expect([query, response.status]).toEqual([query, status]);
      expect((await errorOf(response)).message).toContain(message);
    }
    const foreign = { headers: { origin: "https://evil.example" } };
    for (const path of ["", "/x"]) {
      const response = await fetch(`${gateway.url}/admin/requests${path}`, foreign);
      expect(response.status).toBe(403);
    }
  });

  test("is bounded: the oldest are forgotten", async () => {
    const gateway = await gatewayOver([]);
    await chatAs(gateway, "oldest", "none");
    const rest = Array.from({ length: REQUESTS_KEPT_MAX }, (_, index) => `r${index}`);
    for (let from = 0; from < rest.length; from += 50) {
      await Promise.all(rest.slice(from, from + 50).map((id) => chatAs(gateway, id, "none")));
    }
    expect((await list(gateway)).newest).toBe(REQUESTS_KEPT_MAX + 1);
    expect((await fetch(`${gateway.url}/admin/requests/oldest`)).status).toBe(404);
    await explain(gateway, "r0");
  });
});
