import { expect, test } from "bun:test";
import { SeededRandom } from "../../src/simulation/seeded-random.ts";
import { chunk, type FakeNeuron, failure, STREAM_END } from "../fakes/fake-neuron.ts";
import { HeldStream } from "../fakes/held-stream.ts";
import { fakeNeuron, gatewayOver, type TestGateway } from "../gateway/fixture.ts";

const CLIENTS = 200;
const REQUESTS_PER_CLIENT = 4;

/** A neuron that answers well, badly, partly, or by dying. */
function misbehave(neuron: FakeNeuron, random: () => number): void {
  const good = neuron.answer;
  neuron.answer = async (request) => {
    const draw = random();
    if (draw < 0.7) return await good(request);
    if (draw < 0.75) return failure(503, "unavailable", "Busy");
    if (draw < 0.8) return failure(503, "model_not_loaded", "Not loaded");
    if (draw < 0.85) return new Response("garbage", { status: 200 });
    if (draw < 0.9) {
      const held = new HeldStream();
      held.write(`${chunk("Hel")}data: {"ha`);
      setImmediate(() => held.end());
      return held.response;
    }
    if (draw < 0.97) return failure(500, "internal", "Engine failed");
    await neuron.kill();
    setTimeout(() => neuron.start(), 20 + 100 * random());
    return new Response("never sent");
  };
}

/** One client's requests; says what went against the rules. */
async function runClient(gateway: TestGateway, random: () => number): Promise<string[]> {
  const wrongs: string[] = [];
  for (let count = 0; count < REQUESTS_PER_CLIENT; count += 1) {
    const leaving = random() < 0.2 ? new AbortController() : undefined;
    if (leaving !== undefined) setTimeout(() => leaving.abort(), 20 * random());
    const stream = random() < 0.5;
    const model = random() < 0.5 ? "a" : "b";
    try {
      const body = { model, stream, messages: [] };
      const response = await gateway.post("/v1/chat/completions", body, leaving?.signal);
      const text = await response.text();
      const wrong = judge(response, text);
      if (wrong !== undefined) wrongs.push(wrong);
    } catch (thrown) {
      if (leaving?.signal.aborted !== true) wrongs.push(`no answer: ${String(thrown)}`);
    }
  }
  return wrongs;
}

function judge(response: Response, text: string): string | undefined {
  const { status } = response;
  if (!response.headers.get("x-request-id")?.startsWith("req_")) return "no request id";
  if (status !== 200) return text.startsWith('{"error":') ? undefined : `${status}: ${text}`;
  if (response.headers.get("content-type")?.startsWith("text/event-stream") !== true) {
    return undefined;
  }
  const done = text.endsWith(STREAM_END);
  const failed = /data: \{"error":.*\}\n\n$/.test(text) && !text.includes("[DONE]");
  if (text.includes('{"ha\n')) return "half an event";
  return done !== failed ? undefined : `a stream that ends neither well nor badly: ${text}`;
}

test("whatever neurons do, every client gets a whole answer or a plain error, and nothing is left over", async () => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  process.stdout.write(`SEED=${seed}\n`);
  const random = new SeededRandom(seed).next;
  const neurons = [0, 1, 2].map(() => {
    const neuron = fakeNeuron().addModel("a", { state: "ready" }).addModel("b");
    misbehave(neuron, random);
    return neuron;
  });
  const gateway = await gatewayOver(neurons, { limits: { queue_max: 1_000 } });
  const clients = Array.from({ length: CLIENTS }, () => runClient(gateway, random));
  const wrongs = (await Promise.all(clients)).flat();
  expect(wrongs).toEqual([]);
  const status = await gateway.until((seen) => seen.in_flight === 0);
  expect(status.waiting).toBe(0);
}, 60_000);
