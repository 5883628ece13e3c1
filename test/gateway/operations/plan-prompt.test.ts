import { expect, test } from "bun:test";
import type { AdminPlanResponse } from "../../../src/protocol/status.ts";
import { answerChat, type FakeNeuron } from "../../fakes/fake-neuron.ts";
import { fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

/** Some 10,000 tokens, and letters that JSON may write in two ways. */
const LONG = "All that is to be read before the question, as well as the café. ".repeat(600);

function neuronWithModel(): FakeNeuron {
  const options = { state: "ready", slots: 2, prefillTokensPerSecond: 1_000 } as const;
  return fakeNeuron().addModel("m", options);
}

function chatOf(...contents: readonly string[]) {
  return { model: "m", messages: contents.map((content) => ({ role: "user", content })) };
}

/** Has a request answered by the second neuron while the first is busy with another. */
async function askSecond(
  gateway: TestGateway,
  first: FakeNeuron,
  sent: { readonly body: string; readonly session?: string },
): Promise<void> {
  const held = Promise.withResolvers<void>();
  first.answer = async (request) => {
    await held.promise;
    return answerChat(request);
  };
  const busy = gateway.chat("m", chatOf("Something else"));
  await first.arrived("/v1/chat/completions");
  const session = sent.session === undefined ? {} : { "x-session-id": sent.session };
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...session },
    body: sent.body,
  });
  await response.text();
  expect(response.headers.get("x-cortex-route")).toBe("neuron=b; reason=fastest");
  first.answer = answerChat;
  held.resolve();
  await (await busy).text();
}

async function planOf(gateway: TestGateway, body: string | object): Promise<AdminPlanResponse> {
  const response = await fetch(`${gateway.url}/admin/plan`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  expect([response.status, text]).toEqual([200, text]);
  return JSON.parse(text) as AdminPlanResponse;
}

test("a plan for a prompt tells who has its beginning cached, in every dialect, and learns nothing", async () => {
  const a = neuronWithModel();
  const gateway = await gatewayOver([a, neuronWithModel()]);
  await askSecond(gateway, a, { body: JSON.stringify(chatOf(LONG)) });
  const next = chatOf(LONG, "And now?");
  const bodies = [
    next,
    next,
    { ...next, max_tokens: 9, stream: true, temperature: 0.5 },
    { model: "m", input: next.messages },
  ];
  for (const body of bodies) {
    const plan = await planOf(gateway, body);
    expect(plan.choice).toMatchObject({ neuron: "b", reason: "prefix" });
    const [best, other] = plan.candidates;
    const cached = best?.cached_tokens ?? 0;
    expect(cached).toBeGreaterThan(8_000);
    expect(plan.prompt_tokens).toBe(cached + (best?.uncached_tokens ?? 0));
    expect(other).toMatchObject({
      ...{ neuron: "a", cached_tokens: 0, uncached_tokens: plan.prompt_tokens },
    });
  }
  const unknown = await planOf(gateway, chatOf(`Another. ${LONG}`));
  expect(unknown.choice).toMatchObject({ reason: "fastest" });
  const cachedOf = ({ candidates }: AdminPlanResponse) =>
    candidates.map(({ cached_tokens }) => cached_tokens);
  expect(cachedOf(unknown)).toEqual([0, 0]);
  // Had the plan before been remembered, this prompt would be somewhere now.
  expect(cachedOf(await planOf(gateway, chatOf(`Another. ${LONG}`)))).toEqual([0, 0]);
});

test("a prompt is compared in its bytes, as a client writes them", async () => {
  const a = neuronWithModel();
  const gateway = await gatewayOver([a, neuronWithModel()]);
  const escaped = JSON.stringify(chatOf(LONG)).replaceAll("é", "\\u00e9");
  await askSecond(gateway, a, { body: escaped });
  expect((await planOf(gateway, escaped)).choice).toMatchObject({ reason: "prefix" });
});

test("a plan knows where a session was last", async () => {
  const a = neuronWithModel();
  const gateway = await gatewayOver([a, neuronWithModel()]);
  await askSecond(gateway, a, { body: JSON.stringify(chatOf("Hi")), session: "s-1" });
  const sticky = { neuron: "b", reason: "sticky" };
  expect((await planOf(gateway, { model: "m", session: "s-1" })).choice).toMatchObject(sticky);
  const named = { ...chatOf("Hi again"), session_id: "s-1" };
  expect((await planOf(gateway, named)).choice).toMatchObject(sticky);
  const other = await planOf(gateway, { model: "m", session: "s-2" });
  expect(other.choice).toMatchObject({ neuron: "a", reason: "fastest" });
  expect(other.prompt_tokens).toBe(1_000);
});

test("a prompt that is told twice, or is none, is refused by its field", async () => {
  const gateway = await gatewayOver([neuronWithModel()]);
  const refusalOf = async (body: object) => {
    const response = await gateway.post("/admin/plan", { model: "m", ...body });
    const { error } = (await response.json()) as { error: { message: string } };
    return [response.status, error.message];
  };
  expect(await refusalOf({ prompt: "Once", prompt_tokens: 5 })).toEqual([
    400,
    "Fields prompt and prompt_tokens exclude each other",
  ]);
  expect(await refusalOf({ prompt: "Once", input: "Once" })).toEqual([
    400,
    "Fields input and prompt exclude each other",
  ]);
  expect(await refusalOf({ messages: [] })).toEqual([
    400,
    expect.stringContaining("Body: /messages"),
  ]);
  expect((await refusalOf({ session: "s".repeat(1_025) }))[1]).toContain("/session");
});
