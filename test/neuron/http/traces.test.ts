import { afterEach, expect, test } from "bun:test";
import { FakeCollector } from "../../fakes/fake-collector.ts";
import { NeuronFixture } from "../fixture.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";
const collector = new FakeCollector();

afterEach(() => collector.stop());

test("a neuron's spans belong to their callers' traces, and say when the engine read and wrote", async () => {
  const fixture = await NeuronFixture.start({ telemetry: { endpoint: collector.url } });
  await fixture.load("alpha");
  const ask = async (flags: string, body: object) => {
    const headers = { traceparent: `00-${TRACE}-${CALLER}-${flags}`, tracestate: "vendor=1" };
    const messages = [{ role: "user", content: "secret words" }];
    const response = await fetch(`${fixture.neuron.url}/v1/chat/completions`, {
      method: "POST",
      headers,
      body: JSON.stringify({ messages, max_tokens: 3, ...body }),
    });
    await response.text();
  };
  await ask("01", { model: "alpha", stream: true });
  await ask("00", { model: "alpha" });
  await ask("01", { model: "junk" });
  await ask("01", { model: "alpha", max_tokens: -5 });
  while (collector.spans.length < 3) {
    await fixture.clock.advance(200);
    await Bun.sleep(2);
  }
  await fixture.stop();
  expect(collector.problems).toEqual([]);
  const [served, unknown, invalid, ...more] = collector.spans;
  expect(more).toEqual([]);
  expect(served).toMatchObject({
    ...{ traceId: TRACE, parentSpanId: CALLER, traceState: "vendor=1", kind: 2 },
    ...{ name: "POST /v1/chat/completions", service: "cortex-neuron", errorStatus: false },
    attributes: {
      "http.response.status_code": 200,
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "cortex",
      "gen_ai.request.model": "alpha",
      "gen_ai.response.model": "alpha",
      "gen_ai.usage.output_tokens": 3,
    },
  });
  expect(served?.events.map(({ name }) => name)).toEqual(["queue", "prefill", "decode"]);
  const times = served?.events.map(({ atNs }) => atNs) ?? [];
  expect(times).toEqual(times.toSorted((a, b) => Number(a - b)));
  expect(unknown?.attributes).toMatchObject({
    ...{ "http.response.status_code": 404, "error.type": "model_not_found" },
  });
  expect(unknown?.attributes["gen_ai.request.model"]).toBeUndefined();
  expect(invalid?.attributes).toMatchObject({
    ...{ "http.response.status_code": 400, "gen_ai.request.model": "alpha" },
  });
  for (const { attributes, events } of collector.spans) {
    expect(JSON.stringify([attributes, events.map(({ name }) => name)])).not.toContain("secret");
  }
});
