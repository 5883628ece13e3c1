import { expect, test } from "bun:test";
import { chunk, STREAM_END, streamOf } from "../../fakes/fake-neuron.ts";
import { HeldStream } from "../../fakes/held-stream.ts";
import { fakeNeuron, gatewayOver } from "../fixture.ts";

const ROLE = `data: ${JSON.stringify({
  choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
})}\n\n`;
const REASON = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { reasoning_content: "Hm" } }] })}\n\n`;
const CALL = `data: ${JSON.stringify({
  choices: [{ index: 0, delta: { tool_calls: [{ index: 0, id: "c", function: { name: "f" } }] } }],
})}\n\n`;

/** Reads a stream until it holds the text. */
async function readUntil(response: Response, wanted: string): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes(wanted)) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) throw new Error(`Ended with: ${text}`);
    text += decoder.decode(piece.value, { stream: true });
  }
  await reader?.cancel();
  return text;
}

test("a client that waits for a load hears how far it is and how many wait", async () => {
  const neuron = fakeNeuron().addModel("m");
  neuron.holdLoads = true;
  const gateway = await gatewayOver([neuron], { limits: { keepalive_seconds: 0.02 } });
  const asked = [gateway.chat("m", { stream: true }), gateway.chat("m", { stream: true })];
  await neuron.arrived("/models/load");
  neuron.change("m", { state: "loading", progress: 0.42 });
  const [first, second] = await Promise.all(asked);
  if (first === undefined || second === undefined) throw new Error("Nobody was answered");
  await readUntil(first, ": loading m on a, 42 %, 2 requests wait\n\n");
  neuron.finishLoad("m");
  expect(await second.text()).toEndWith(STREAM_END);
});

test("a client of messages hears the same beside its pings", async () => {
  const neuron = fakeNeuron().addModel("m");
  neuron.holdLoads = true;
  const gateway = await gatewayOver([neuron], { limits: { keepalive_seconds: 0.02 } });
  const asked = gateway.post("/v1/messages", {
    ...{ model: "m", max_tokens: 16, stream: true },
    messages: [{ role: "user", content: "Hi" }],
  });
  await neuron.arrived("/models/load");
  neuron.change("m", { state: "loading", progress: 0.42 });
  const progress = ": loading m on a, 42 %\n\n";
  const text = await readUntil(await asked, progress);
  expect(text).toContain(`event: ping\ndata: {"type":"ping"}\n\n${progress}`);
});

test("keep-alives go on while the opening of an answer is held back, and the answer follows as it came", async () => {
  const neuron = fakeNeuron().addModel("m", { state: "ready" });
  const held = new HeldStream();
  held.write(`: queued 3\n\n${ROLE}`);
  neuron.answer = () => held.response;
  const gateway = await gatewayOver([neuron], { limits: { keepalive_seconds: 0.02 } });
  const response = await gateway.chat("m", { stream: true });
  const reader = response.body?.getReader();
  const first = new TextDecoder().decode((await reader?.read())?.value);
  expect(first).toStartWith(": waiting for m on a\n\n");
  expect(first).not.toContain("assistant");
  held.write(chunk("Hi") + STREAM_END);
  held.end();
  let text = "";
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) break;
    text += new TextDecoder().decode(piece.value);
  }
  expect(text).toEndWith(ROLE + chunk("Hi") + STREAM_END);
});

for (const [what, event] of [
  ["text", chunk("Hi")],
  ["reasoning", REASON],
  ["a tool call", CALL],
] as const) {
  test(`an answer goes out with its first event of ${what}`, async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const held = new HeldStream();
    held.write(ROLE + event);
    neuron.answer = () => held.response;
    const gateway = await gatewayOver([neuron]);
    expect(await readUntil(await gateway.chat("m", { stream: true }), event)).toBe(ROLE + event);
  });
}

test("a stream that is refused in its first event is asked for elsewhere, a client's mistake is not", async () => {
  const error = (type: string) => `data: {"error":{"message":"no","type":"${type}"}}\n\n`;
  const first = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
  const second = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1 });
  const gateway = await gatewayOver([first, second]);
  first.answer = () => streamOf([ROLE, error("server_error")]);
  const answered = await gateway.chat("m", { stream: true });
  expect(await answered.text()).toEndWith(STREAM_END);
  first.answer = () => streamOf([ROLE, error("invalid_request_error")]);
  const refused = await gateway.chat("m", { stream: true });
  expect(refused.status).toBe(400);
  expect(second.count("/v1/chat/completions")).toBe(1);
});
