import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { errorOf, NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

beforeEach(async () => {
  fixture = await NeuronFixture.start();
  await fixture.load("alpha");
});

afterEach(() => fixture.stop());

const busy = async () => {
  const { in_flight, slots_busy, queued } = await fixture.model("alpha");
  return { in_flight, slots_busy, queued };
};
const IDLE = { in_flight: 0, slots_busy: 0, queued: 0 };

test("a caller's id of its request comes back, and what is no plain name does not", async () => {
  const ask = async (id: string) => {
    const body = JSON.stringify({ model: "alpha", messages: [{ role: "user", content: "hi" }] });
    const headers = { "x-request-id": id };
    const url = `${fixture.neuron.url}/v1/chat/completions`;
    const response = await fetch(url, { method: "POST", headers, body });
    await response.text();
    return response.headers.get("x-request-id");
  };
  expect(await ask("trace.1-A_b")).toBe("trace.1-A_b");
  expect(await ask("two words")).toMatch(/^req_/);
});

test("figures come under the names of vLLM where they are asked for", async () => {
  await (await fixture.chat({ max_tokens: 3 })).text();
  const text = await (await fixture.get("/metrics?compat=vllm")).text();
  expect(text).toContain('vllm:generation_tokens_total{model_name="alpha"} 3');
  expect(text).toContain('vllm:num_requests_running{model_name="alpha"} 0');
  expect((await fixture.get("/metrics?compat=tgi")).status).toBe(400);
});

describe("a chat", () => {
  test("that is streamed passes the engine's chunks on and ends with [DONE]", async () => {
    const response = await fixture.chat({ stream: true, max_tokens: 2 });
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    expect(response.headers.get("x-request-id")).toStartWith("req_");
    expect(await response.text()).toBe(
      'data: {"choices":[{"index":0,"delta":{"content":"w1 "}}]}\n\n' +
        'data: {"choices":[{"index":0,"delta":{"content":"w2 "}}]}\n\ndata: [DONE]\n\n',
    );
  });

  test("that is not streamed is one answer without the engine's own figures", async () => {
    const response = await fixture.chat({ max_tokens: 3 });
    expect(response.status).toBe(200);
    const answer = (await response.json()) as Record<string, unknown>;
    expect(answer["usage"]).toMatchObject({ completion_tokens: 3 });
    expect(answer).not.toHaveProperty("cortex");
  });

  test("by an alias runs the same model", async () => {
    const response = await fixture.chat({ model: "ALPHA" });
    expect(response.status).toBe(200);
    await response.text();
    expect(fixture.engine.countCalls("submit")).toBe(1);
  });

  test("counts its tokens and speed for the model", async () => {
    await (await fixture.chat({ stream: true, max_tokens: 20 })).text();
    expect(await fixture.model("alpha")).toMatchObject({
      completion_tokens: 20,
      decode_tokens_per_second: 100,
    });
    const metrics = await (await fixture.get("/metrics")).text();
    expect(metrics).toContain('cortex_neuron_tokens_total{model="alpha",kind="completion"} 20');
    expect(metrics).toContain('cortex_neuron_model_state{model="alpha",state="ready"} 1');
  });

  test("gives its request's id back", async () => {
    const response = await fetch(`${fixture.neuron.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "x-request-id": "req_of-mine" },
      body: JSON.stringify({ model: "alpha", messages: [{ role: "user", content: "hi" }] }),
    });
    expect(response.headers.get("x-request-id")).toBe("req_of-mine");
    await response.text();
  });
});

describe("an error", () => {
  test("before the first chunk of a stream has a status of its own", async () => {
    const messages = [{ role: "user", content: "word ".repeat(150) }];
    const error = await errorOf(await fixture.chat({ stream: true, messages }));
    expect(error).toMatchObject({ status: 400, code: "context_length_exceeded" });
    expect(error.message).toStartWith("This model's maximum context length is 100 tokens");
    expect(error.figures).toMatchObject({ context_tokens: 100 });
    expect(error.source).toBe("neuron");
  });

  test("after the first chunk is an event, and the stream ends without [DONE]", async () => {
    const release = fixture.engine.hold("decode");
    const response = await fixture.chat({ stream: true, max_tokens: 50 });
    await fixture.post("/test/fault", { model: "alpha", phase: "decode", after: 1, kind: "abort" });
    release();
    const text = await response.text();
    expect(text).toContain('"code":"model_poisoned"');
    expect(text).not.toContain("[DONE]");
  });

  test("names a model that does not exist", async () => {
    const error = await errorOf(await fixture.chat({ model: "gamma" }));
    expect(error).toMatchObject({ status: 404, code: "model_not_found", param: "model" });
    expect(error.message).toContain("gamma");
  });

  test("says how to load a model that is not loaded", async () => {
    const error = await errorOf(await fixture.chat({ model: "beta" }));
    expect(error).toMatchObject({ status: 503, code: "model_not_loaded" });
    expect(error.message).toContain("POST /models/load");
  });

  test("says what a model cannot do, loaded or not", async () => {
    const response = await fixture.post("/v1/embeddings", { model: "beta", input: "x" });
    const error = await errorOf(response);
    expect(error).toMatchObject({ status: 501, code: "unsupported" });
    expect(error.message).toContain("embeddings");
  });

  test("of a body over the limit is an envelope with the limit", async () => {
    const small = await NeuronFixture.start({ neuron: { body_bytes_max: 2_000 } });
    const error = await errorOf(await small.post("/v1/chat/completions", "x".repeat(3_000)));
    expect(error).toMatchObject({ status: 413, code: "body_too_large" });
    expect(error.message).toContain("2000");
    const chunked = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 3; index += 1) controller.enqueue(new Uint8Array(1_000));
        controller.close();
      },
    });
    const url = `${small.neuron.url}/v1/chat/completions`;
    expect((await fetch(url, { method: "POST", body: chunked })).status).toBe(413);
    await small.stop();
  });

  test("of a body that is no UTF-8 says so", async () => {
    const text = new TextEncoder().encode(
      '{"model":"alpha","messages":[{"role":"user","content":"',
    );
    const body = new Uint8Array([...text, 0xff, 0xfe, ...new TextEncoder().encode('"}]}')]);
    const url = `${fixture.neuron.url}/v1/chat/completions`;
    const whole = await errorOf(await fetch(url, { method: "POST", body }));
    expect(whole).toMatchObject({ status: 400, code: "invalid_request" });
    expect(whole.message).toContain("UTF-8");
    const chunked = new Blob([body]).stream();
    expect((await fetch(url, { method: "POST", body: chunked })).status).toBe(400);
    expect(fixture.engine.countCalls("submit")).toBe(0);
  });

  test("of an unknown route or a wrong method is an envelope", async () => {
    const unknown = await errorOf(await fixture.get("/v1/nonsense"));
    expect(unknown).toMatchObject({ status: 404, code: "route_not_found" });
    expect(unknown.message).toContain("/v1/nonsense");
    const wrong = await errorOf(await fixture.get("/v1/chat/completions"));
    expect(wrong).toMatchObject({ status: 405, code: "method_not_allowed" });
  });

  test("never reaches the engine when the body is at fault", async () => {
    for (const body of ["{", "[]", "null", "", '{"model":7}', '{"model":"alpha"}']) {
      const error = await errorOf(await fixture.post("/v1/chat/completions", body));
      expect(error).toMatchObject({ status: 400, code: "invalid_request" });
    }
    expect(fixture.engine.countCalls("submit")).toBe(0);
  });
});

describe("a client that leaves", () => {
  for (const point of ["prepare", "prefill", "decode"] as const) {
    for (const stream of [true, false]) {
      test(`${stream ? "a stream" : "a whole answer"} during ${point} frees the slot`, async () => {
        const release = fixture.engine.hold(point);
        const leave = new AbortController();
        const pending = fixture.chat({ stream, max_tokens: 50 }, leave.signal);
        pending.catch(() => undefined);
        await fixture.until(async () => (await fixture.model("alpha")).in_flight === 1);
        if (stream && point === "decode") await pending;
        leave.abort();
        await fixture.until(() => fixture.engine.countCalls("cancel") === 1);
        await fixture.until(async () => (await fixture.model("alpha")).in_flight === 0);
        expect(await busy()).toEqual(IDLE);
        expect(fixture.log.has("model NOT marked poisoned", { cause: "was cancelled" })).toBe(true);
        release();
      });
    }
  }

  test("while it is queued leaves the running requests alone", async () => {
    const release = fixture.engine.hold("decode");
    const running = [fixture.chat({ stream: true }), fixture.chat({ stream: true })];
    const responses = await Promise.all(running);
    const leave = new AbortController();
    const queued = fixture.chat({ stream: true }, leave.signal);
    queued.catch(() => undefined);
    await fixture.until(async () => (await busy()).queued === 1);
    leave.abort();
    await fixture.until(async () => (await busy()).in_flight === 2);
    release();
    for (const response of responses) expect(await response.text()).toEndWith("data: [DONE]\n\n");
  });
});

describe("a queue", () => {
  test("that is full refuses with 429 and a Retry-After, and serves what it holds", async () => {
    const release = fixture.engine.hold("decode");
    const accepted = Array.from({ length: 5 }, () => fixture.chat());
    await fixture.until(async () => (await busy()).in_flight === 5);
    const refused = await fixture.chat();
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await errorOf(refused)).toMatchObject({ status: 429, code: "queue_full" });
    release();
    for (const response of await Promise.all(accepted)) expect(response.status).toBe(200);
  });

  /** Lets one request have a slot for so long, then fills both slots and the three places of the queue. */
  async function refusalAfter(seconds: number | undefined): Promise<Response> {
    const release = fixture.engine.hold("decode");
    if (seconds !== undefined) {
      const measured = fixture.chat();
      await fixture.until(async () => (await busy()).slots_busy === 1);
      await fixture.clock.advance(seconds * 1000);
      release();
      await (await measured).text();
    }
    const releaseAll = fixture.engine.hold("decode");
    const accepted = Array.from({ length: 5 }, () => fixture.chat());
    await fixture.until(async () => (await busy()).in_flight === 5);
    const refused = await fixture.chat();
    release();
    releaseAll();
    await Promise.all(accepted);
    return refused;
  }

  for (const [seconds, retryAfter, why] of [
    [undefined, "3", "nothing is known: 5 requests of a second at 2 slots"],
    [4, "10", "5 requests of 4 s at 2 slots"],
    [0.1, "1", "never less than a second"],
    [600, "60", "never more than a minute"],
  ] as const) {
    test(`that is full says when everybody ahead has been served: ${why}`, async () => {
      expect((await refusalAfter(seconds)).headers.get("retry-after")).toBe(retryAfter);
    });
  }

  test("measures the time at a slot, not the wait for it", async () => {
    const release = fixture.engine.hold("decode");
    const waited = Array.from({ length: 4 }, () => fixture.chat());
    await fixture.until(async () => (await busy()).queued === 2);
    await fixture.clock.advance(4_000);
    release();
    await Promise.all(waited);
    // Two of them had a slot for 4 s; the other two waited as long for theirs, and had it for no time at all.
    const mean = 4 * 0.8 * 0.8;
    expect((await refusalAfter(undefined)).headers.get("retry-after")).toBe(
      String(Math.ceil((5 * mean) / 2)),
    );
  });
});

describe("the priority of a request", () => {
  const messages = [{ role: "user", content: "hi" }];
  const send = async (name: string, header: string | undefined, body: object = {}) => {
    const response = await fetch(`${fixture.neuron.url}/v1/chat/completions`, {
      method: "POST",
      headers: header === undefined ? {} : { "x-cortex-priority": header },
      body: JSON.stringify({ model: "alpha", messages, seed: names.push(name), ...body }),
    });
    await response.text();
    order.push(name);
    return response;
  };
  let names: string[] = [];
  let order: string[] = [];

  beforeEach(() => {
    [names, order] = [[], []];
  });

  test("orders those that wait for a slot, however it is told", async () => {
    const small = await NeuronFixture.start({ defaults: { slots: 1, queue_max: 10 } });
    await fixture.stop();
    fixture = small;
    await fixture.load("alpha");
    const release = fixture.engine.hold("decode");
    const all = [send("running", undefined)];
    const sendNext = async (...request: Parameters<typeof send>) => {
      const count = all.length;
      all.push(send(...request));
      await fixture.until(async () => (await busy()).queued === count);
    };
    await fixture.until(async () => (await busy()).slots_busy === 1);
    await sendNext("batch", "batch");
    await sendNext("flex", undefined, { service_tier: "flex" });
    await sendNext("default", undefined, { service_tier: "default" });
    await sendNext("plain", undefined);
    await sendNext("tier", undefined, { service_tier: "priority" });
    await sendNext("header", "interactive", { service_tier: "flex" });
    release();
    await Promise.all(all);
    const served = ["running", "tier", "header", "default", "plain", "batch", "flex"];
    expect(order).toEqual(served);
  });

  test("is an age for the engine: a batch request is passed by what comes within two minutes, and then by nobody", async () => {
    await send("batch", "batch");
    await send("interactive", "interactive");
    await send("normal", "normal");
    const { calls } = fixture.engine;
    const bodies = calls
      .filter(({ name }) => name === "submit")
      .map(({ detail }) => detail["body"]);
    const told = bodies.map((body) => (body as { queue_age_ms?: number }).queue_age_ms);
    expect(told).toEqual([-120_000, 30_000, undefined]);
  });

  test("counts what a gateway says of its waiting elsewhere; what is no such time is a 400", async () => {
    const ask = (age: string) =>
      fetch(`${fixture.neuron.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "x-cortex-age-ms": age, "x-cortex-priority": "interactive" },
        body: JSON.stringify({ model: "alpha", messages }),
      });
    await ask("1500");
    const submitted = fixture.engine.calls.filter(({ name }) => name === "submit").at(-1);
    expect(submitted?.detail["body"]).toMatchObject({ queue_age_ms: 31_500 });
    for (const wrong of ["-1", "600001", "soon"]) {
      const error = await errorOf(await ask(wrong));
      expect(error).toMatchObject({ status: 400, param: "x-cortex-age-ms" });
      expect(error.message).toContain("must be 0 to 600000 milliseconds");
    }
  });

  test("that is none is a 400 with those that there are", async () => {
    const header = await errorOf(
      await fetch(`${fixture.neuron.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "x-cortex-priority": "urgent" },
        body: JSON.stringify({ model: "alpha", messages }),
      }),
    );
    expect(header).toMatchObject({ status: 400, param: "x-cortex-priority" });
    expect(header.message).toContain('"urgent", must be one of interactive, normal, batch');
    const tier = await errorOf(await fixture.chat({ service_tier: "gold" }));
    expect(tier).toMatchObject({ status: 400, param: "service_tier" });
    for (const name of ["auto", "default", "flex", "priority", "scale"]) {
      expect(tier.message).toContain(name);
    }
    expect(fixture.engine.countCalls("submit")).toBe(0);
  });
});

describe("a stream that has to wait", () => {
  test("sends its headers and a comment after ten seconds, then the answer", async () => {
    const release = fixture.engine.hold("prefill");
    const pending = fixture.chat({ stream: true, max_tokens: 1 });
    await fixture.until(async () => (await busy()).slots_busy === 1);
    await fixture.clock.advance(10_000);
    const response = await pending;
    expect(response.status).toBe(200);
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode(first?.value)).toBe(": keep-alive\n\n");
    release();
    const second = await reader?.read();
    expect(new TextDecoder().decode(second?.value)).toContain("w1");
    await reader?.cancel();
  });

  test("reports a failure that comes after its headers as an event", async () => {
    const release = fixture.engine.hold("prepare");
    const messages = [{ role: "user", content: "word ".repeat(150) }];
    const pending = fixture.chat({ stream: true, messages });
    await fixture.until(async () => (await busy()).in_flight === 1);
    await fixture.clock.advance(10_000);
    const response = await pending;
    release();
    const text = await response.text();
    expect(text).toContain('"code":"context_length_exceeded"');
    expect(text).not.toContain("[DONE]");
  });
});

describe("the other routes", () => {
  test("tokenize, count tokens, and list models in OpenAI's shape", async () => {
    const tokens = await fixture.post("/v1/tokenize", { model: "alpha", content: "a b c" });
    expect(await tokens.json()).toEqual({ tokens: [0, 1, 2] });
    const messages = [{ role: "user", content: "hi" }];
    const counted = await fixture.post("/v1/count_tokens", { model: "alpha", messages });
    expect(await counted.json()).toEqual({ input_tokens: 1 });
    const list = (await (await fixture.get("/v1/models")).json()) as { data: { id: string }[] };
    expect(list.data.map((model) => model.id)).toEqual(["alpha", "beta"]);
  });
});

test("the time to the first token is measured of whole answers as of streams", async () => {
  await fixture.load("alpha");
  const count = async () => {
    const metrics = await (await fixture.get("/metrics")).text();
    const sample = /cortex_neuron_time_to_first_token_seconds_count\{model="alpha"\} ([0-9]+)/;
    return Number(sample.exec(metrics)?.[1] ?? 0);
  };
  const before = await count();
  await (await fixture.chat()).text();
  expect(await count()).toBe(before + 1);
  await (await fixture.chat({ stream: true })).text();
  expect(await count()).toBe(before + 2);
});

describe("a token", () => {
  test("is asked for everywhere but for health and documents", async () => {
    process.env["CORTEX_TEST_NEURON_TOKEN"] = "secret";
    const guarded = await NeuronFixture.start({
      neuron: { token_env: "CORTEX_TEST_NEURON_TOKEN" },
    });
    for (const path of ["/health", "/docs", "/docs/openapi.json"]) {
      expect([path, (await guarded.get(path)).status]).toEqual([path, 200]);
    }
    expect(await errorOf(await guarded.get("/models"))).toMatchObject({ status: 401 });
    const headers = { authorization: "Bearer secret" };
    expect((await fetch(`${guarded.neuron.url}/models`, { headers })).status).toBe(200);
    await guarded.stop();
  });
});
