import { afterEach, describe, expect, test } from "bun:test";
import { type CollectedSpan, FakeCollector } from "../../fakes/fake-collector.ts";
import type { FakeNeuron } from "../../fakes/fake-neuron.ts";
import {
  fakeApi,
  fakeNeuron,
  type GatewayOverrides,
  gatewayOver,
  type NamedNeuron,
  type TestGateway,
} from "../fixture.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN = "b7ad6b7169203331";
const SAMPLED = { traceparent: `00-${TRACE}-${CLIENT_SPAN}-01`, tracestate: "vendor=1" };
const UNSAMPLED = { traceparent: `00-${TRACE}-${CLIENT_SPAN}-00` };
const SECRET = "nobody may read this";

const collectors: FakeCollector[] = [];

afterEach(async () => {
  for (const collector of collectors.splice(0)) {
    await collector.stop();
    expect(collector.problems).toEqual([]);
  }
});

async function traced(
  neurons: readonly (FakeNeuron | NamedNeuron)[],
  overrides: GatewayOverrides = {},
) {
  const collector = new FakeCollector();
  collectors.push(collector);
  const telemetry = { endpoint: collector.url };
  const gateway = await gatewayOver(neurons, { telemetry, ...overrides });
  return {
    gateway,
    collector,
    /** All spans, once the gateway has stopped. */
    collect: async () => {
      await gateway.stop();
      return collector.spans;
    },
  };
}

async function ask(
  gateway: TestGateway,
  options: { readonly headers?: Record<string, string>; readonly body?: object } = {},
): Promise<Response> {
  const messages = [{ role: "user", content: SECRET }];
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...options.headers },
    body: JSON.stringify({ model: "m", messages, ...options.body }),
  });
  await response.text();
  return response;
}

function find(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const span = spans.find((each) => each.name === name);
  if (span === undefined) throw new Error(`No span ${name} in ${spans.map((each) => each.name)}`);
  return span;
}

const headersAt = (neuron: FakeNeuron) =>
  neuron.requests.filter(({ path }) => path === "/v1/chat/completions").map((seen) => seen.headers);

describe("a traced request", () => {
  test("is a span of the client's trace with its route and its call below it", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready", slots: 4 });
    const { gateway, collect, collector } = await traced([["box", neuron]]);
    const response = await ask(gateway, { headers: SAMPLED, body: { stream: true } });
    const spans = await collect();
    expect(spans.map(({ name }) => name).toSorted()).toEqual([
      "POST /v1/chat/completions",
      "chat",
      "route",
    ]);
    const root = find(spans, "POST /v1/chat/completions");
    expect(root).toMatchObject({
      ...{ traceId: TRACE, parentSpanId: CLIENT_SPAN, traceState: "vendor=1", kind: 2 },
      service: "cortex-gateway",
      errorStatus: false,
      attributes: {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "cortex.request.id": response.headers.get("x-request-id"),
        "cortex.neuron": "box",
        "cortex.route.reason": "only",
        "cortex.attempts": 1,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "cortex",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
      },
      events: [{ name: "first_token" }],
    });
    const [route, call] = [find(spans, "route"), find(spans, "chat")];
    for (const span of [route, call]) {
      expect([span.traceId, span.parentSpanId]).toEqual([TRACE, root.spanId]);
      expect(span.startNs >= root.startNs && span.endNs <= root.endNs).toBe(true);
    }
    expect(call.startNs >= route.endNs).toBe(true);
    expect(route).toMatchObject({ kind: 1, attributes: { "cortex.neuron": "box" } });
    expect(call).toMatchObject({
      kind: 3,
      attributes: {
        "server.address": "127.0.0.1",
        "server.port": Number(new URL(neuron.url).port),
        "url.full": `${neuron.url}/v1/chat/completions`,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "cortex.neuron": "box",
        "gen_ai.usage.output_tokens": 2,
      },
    });
    expect(headersAt(neuron)).toMatchObject([
      { traceparent: `00-${TRACE}-${call.spanId}-01`, tracestate: "vendor=1" },
    ]);
    const told = JSON.stringify(collector.batches, (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    );
    expect(told).not.toContain(SECRET);
    expect(told).not.toContain("Hello");
  });

  test("begins a trace of its own where the client named none", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const { gateway, collect } = await traced([neuron]);
    await ask(gateway, { headers: { traceparent: "junk", tracestate: "vendor=1" } });
    const root = find(await collect(), "POST /v1/chat/completions");
    expect(root.parentSpanId).toBeUndefined();
    expect(root.traceState).toBeUndefined();
    expect(headersAt(neuron)[0]?.["traceparent"]).toStartWith(`00-${root.traceId}-`);
  });

  test("has a call for each neuron that was tried, the failed one with its cause", async () => {
    const [bad, good] = [fakeNeuron(), fakeNeuron()].map((neuron) =>
      neuron.addModel("m", { state: "ready" }),
    );
    if (bad === undefined || good === undefined) throw new Error("No neurons");
    bad.answer = () => Response.json({ error: { message: "down" } }, { status: 503 });
    const { gateway, collect } = await traced([
      ["bad", bad],
      ["good", good],
    ]);
    // The choice between equals is random.
    for (let tries = 0; bad.requests.every(({ method }) => method === "GET"); tries += 1) {
      if (tries > 100) throw new Error("Never asked");
      await ask(gateway);
    }
    const spans = await collect();
    const failed = find(
      spans.filter(({ errorStatus }) => errorStatus),
      "chat",
    );
    expect(failed.attributes).toMatchObject({
      ...{ "cortex.neuron": "bad", "error.type": "unavailable" },
      "http.response.status_code": 503,
    });
    const calls = spans.filter(
      ({ name, parentSpanId }) => name === "chat" && parentSpanId === failed.parentSpanId,
    );
    expect(calls.map(({ attributes }) => attributes["cortex.neuron"])).toEqual(["bad", "good"]);
    expect(calls[1]?.attributes["http.request.resend_count"]).toBe(1);
    const root = spans.find(({ spanId }) => spanId === failed.parentSpanId);
    expect(root).toMatchObject({ errorStatus: false, attributes: { "cortex.attempts": 2 } });
  });

  test("waits for a load that is part of it, and is linked to one that another began", async () => {
    const neuron = fakeNeuron().addModel("m", { slots: 4 });
    neuron.holdLoads = true;
    const { gateway, collect } = await traced([neuron]);
    const first = ask(gateway);
    await neuron.arrived("/models/load");
    const second = ask(gateway);
    await gateway.until(({ models }) => models[0]?.replicas[0]?.waiting === 2);
    neuron.finishLoad("m");
    await Promise.all([first, second]);
    const spans = await collect();
    const waits = spans.filter(({ name }) => name === "wait for load");
    const load = find(spans, "load m");
    const [own, other] = waits[0]?.spanId === load.parentSpanId ? waits : waits.toReversed();
    expect(waits).toHaveLength(2);
    expect([load.traceId, load.parentSpanId]).toEqual([own?.traceId ?? "", own?.spanId ?? ""]);
    expect(other?.links).toEqual([{ traceId: load.traceId, spanId: load.spanId }]);
    expect(own?.links).toEqual([]);
    expect(load.attributes).toMatchObject({
      "gen_ai.request.model": "m",
      "cortex.neuron": "a",
      "cortex.load.origin": "request",
    });
    expect(load.events.map(({ name }) => name)).toContain("loading");
  });

  test("that failed says why: an error where we are at fault, none where the client is", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.answer = () => Response.json({ error: { message: "no" } }, { status: 500 });
    const { gateway, collect } = await traced([neuron]);
    const { status } = await ask(gateway);
    expect(status).toBeGreaterThanOrEqual(500);
    expect((await ask(gateway, { body: { model: "junk" } })).status).toBe(404);
    const roots = (await collect()).filter(({ kind }) => kind === 2);
    expect(roots.map(({ errorStatus }) => errorStatus)).toEqual([true, false]);
    expect(roots.map(({ attributes }) => attributes["http.response.status_code"])).toEqual([
      ...[status, 404],
    ]);
    expect(roots.map(({ attributes }) => attributes["error.type"])).toEqual([
      ...[expect.stringMatching(/^[a-z_]+$/), "model_not_found"],
    ]);
    expect(JSON.stringify(roots[1]?.attributes)).not.toContain("junk");
  });

  test("goes on to an API under its own dialect's name", async () => {
    const api = fakeApi("openai", ["m"]);
    const { gateway, collect } = await traced([], { apis: [{ api, name: "cloud" }] });
    await ask(gateway, { headers: SAMPLED });
    const call = find(await collect(), "chat");
    expect(call.attributes["gen_ai.provider.name"]).toBe("openai");
    expect(call.attributes["gen_ai.response.model"]).toBeUndefined();
    const seen = api.requests.find(({ method }) => method === "POST");
    expect(seen?.headers["traceparent"]).toBe(`00-${TRACE}-${call.spanId}-01`);
  });
});

describe("a request that is not recorded", () => {
  test("passes its client's trace on as it came, also where traces are off", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const { gateway, collect } = await traced([neuron]);
    await ask(gateway, { headers: UNSAMPLED });
    expect(await collect()).toEqual([]);
    const off = await gatewayOver([neuron]);
    await ask(off, { headers: SAMPLED });
    await ask(off, { headers: { traceparent: "junk" } });
    expect(headersAt(neuron).map(({ traceparent }) => traceparent)).toEqual([
      UNSAMPLED.traceparent,
      SAMPLED.traceparent,
      undefined as unknown as string,
    ]);
  });

  test("by the ratio tells its neuron not to record it either", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const { gateway, collect } = await traced([neuron], {
      telemetry: { endpoint: "http://127.0.0.1:9", sample_ratio: 0 },
    });
    await ask(gateway);
    await collect();
    expect(headersAt(neuron)[0]?.["traceparent"]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });
});

test("the metrics count spans that were taken and lost", async () => {
  const neuron = fakeNeuron().addModel("m", { state: "ready" });
  const { gateway, collector } = await traced([neuron]);
  expect(await gateway.metrics()).toContain(
    'cortex_trace_spans_dropped_total{reason="queue_full"} 0',
  );
  collector.answers.push(new Response("no", { status: 400 }));
  for (let count = 0; count < 171; count += 1) await ask(gateway);
  await collector.until(({ requests }) => requests === 1);
  const lost = 'cortex_trace_spans_dropped_total{reason="refused"} 512';
  for (let tries = 0; !(await gateway.metrics()).includes(lost); tries += 1) {
    if (tries > 500) throw new Error(await gateway.metrics());
    await Bun.sleep(2);
  }
});
