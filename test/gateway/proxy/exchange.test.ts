import { describe, expect, test } from "bun:test";
import { answerChat, chunk, failure, STREAM_END, streamOf } from "../../fakes/fake-neuron.ts";
import { HeldStream } from "../../fakes/held-stream.ts";
import { errorOf, fakeNeuron, gatewayOver } from "../fixture.ts";

describe("exchange", () => {
  test("hands a whole answer on with its type and tells the route", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const response = await gateway.chat("m");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(response.headers.get("x-cortex-route")).toBe("neuron=a; reason=only");
    expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
    expect(await response.json()).toMatchObject({ model: "m", usage: { total_tokens: 7 } });
    const seen = neuron.requests.find(({ path }) => path === "/v1/chat/completions");
    expect(seen?.headers["x-request-id"]).toBe(response.headers.get("x-request-id") ?? "");
  });

  test("hands a stream on byte for byte and counts its usage", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const response = await gateway.chat("m", { stream: true });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    expect(await response.text()).toBe(chunk("Hel") + chunk("lo") + STREAM_END);
    const metrics = await gateway.metrics();
    expect(metrics).toContain('cortex_completion_tokens_total{model="m",neuron="a"} 2');
    expect(metrics).toContain('cortex_prompt_tokens_total{model="m",neuron="a"} 5');
    expect(metrics).toContain(
      'cortex_requests_total{model="m",neuron="a",dialect="chat",status="200"} 1',
    );
    expect(metrics).toContain('cortex_in_flight{model="m",neuron="a"} 0');
  });

  test("rewrites only the model's name when a client uses an alias", async () => {
    const neuron = fakeNeuron().addModel("org/m.gguf", { state: "ready" });
    const profiles = [{ id: "m", source: "org/m.gguf", aliases: ["gpt-4o"] }];
    const gateway = await gatewayOver([neuron], { profiles });
    const body =
      '{ "seed": 12345678901234567890, "a":"\\"model\\":", "model" : "gpt-4o", "messages": [] }';
    expect((await gateway.post("/v1/chat/completions", body)).status).toBe(200);
    const seen = neuron.requests.find(({ path }) => path === "/v1/chat/completions");
    expect(seen?.text).toBe(body.replace("gpt-4o", "org/m.gguf"));
  });

  test("a stream that ends without its [DONE] gets an error event", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.answer = () => streamOf([chunk("Hel")]);
    const gateway = await gatewayOver([neuron]);
    const text = await (await gateway.chat("m", { stream: true })).text();
    expect(text).toStartWith(chunk("Hel"));
    expect(text).toContain('"code":"neuron_failed"');
    expect(text).not.toContain("[DONE]");
  });

  test("a neuron that dies in mid-stream gets an error event after the last whole event", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const held = new HeldStream();
    neuron.answer = () => held.response;
    const gateway = await gatewayOver([neuron]);
    held.write(`${chunk("Hel")}data: {"half`);
    const response = await gateway.chat("m", { stream: true });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode(first?.value)).toBe(chunk("Hel"));
    await neuron.kill();
    let rest = "";
    for (;;) {
      const piece = await reader?.read();
      if (piece === undefined || piece.done) break;
      rest += new TextDecoder().decode(piece.value);
    }
    expect(rest).toStartWith('data: {"error":');
    expect(rest).toContain("broke off");
    expect(rest).not.toContain("half");
  });

  test("a neuron that dies within a long event gets an error event that can be read", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const held = new HeldStream();
    neuron.answer = () => held.response;
    const gateway = await gatewayOver([neuron]);
    const half = `data: {"long":"${"x".repeat(40_000)}`;
    held.write(half);
    const response = await gateway.chat("m", { stream: true });
    const reader = response.body?.getReader();
    let text = "";
    while (text.length < half.length) {
      text += new TextDecoder().decode((await reader?.read())?.value);
    }
    await neuron.kill();
    for (;;) {
      const piece = await reader?.read();
      if (piece === undefined || piece.done) break;
      text += new TextDecoder().decode(piece.value);
    }
    expect(text.slice(0, half.length)).toBe(half);
    expect(text.slice(half.length)).toStartWith('\n\ndata: {"error":');
  });

  test("an error event of the neuron passes as it is, without a second one", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const broken = `${chunk("Hel")}data: {"error":{"message":"engine failed","code":"internal"}}\n\n`;
    neuron.answer = () => streamOf([broken]);
    const gateway = await gatewayOver([neuron]);
    expect(await (await gateway.chat("m", { stream: true })).text()).toBe(broken);
  });

  test("a request that is asked again says how long it has waited", async () => {
    const neurons = [0, 1].map(() => fakeNeuron().addModel("a", { state: "ready" }));
    const gateway = await gatewayOver(neurons);
    let first = true;
    const ages: (string | undefined)[] = [];
    for (const neuron of neurons) {
      const good = neuron.answer;
      neuron.answer = async (request) => {
        ages.push(neuron.requests.at(-1)?.headers["x-cortex-age-ms"]);
        if (!first) return await good(request);
        first = false;
        return failure(503, "unavailable", "Busy");
      };
    }
    const response = await gateway.post("/v1/chat/completions", { model: "a", messages: [] });
    expect(response.status).toBe(200);
    expect(ages[0]).toBeUndefined();
    expect(Number(ages[1])).toBeGreaterThanOrEqual(0);
    expect(ages.length).toBe(2);
  });

  test("a priority is told to the neuron, and one that is none is a 400 with those that there are", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const send = (priority: string) =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", "X-Cortex-Priority": priority },
        body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }] }),
      });
    expect((await send("Batch")).status).toBe(200);
    const seen = neuron.requests.find(({ path }) => path === "/v1/chat/completions");
    expect(seen?.headers["x-cortex-priority"]).toBe("batch");
    const refused = await send("urgent");
    const { error } = (await refused.json()) as { error: Record<string, string> };
    expect([refused.status, error["param"]]).toEqual([400, "x-cortex-priority"]);
    expect(error["message"]).toContain('"urgent", must be one of interactive, normal, batch');
  });

  test("a client that leaves closes the neuron's request, before and after the first byte", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    for (const withBytes of [false, true]) {
      const held = new HeldStream();
      if (withBytes) held.write(chunk("Hel"));
      const arrived = Promise.withResolvers<AbortSignal>();
      neuron.answer = (request) => {
        arrived.resolve(request.signal);
        return withBytes ? held.response : new Promise<Response>(() => undefined);
      };
      const client = new AbortController();
      const asked = gateway.post(
        "/v1/chat/completions",
        { model: "m", stream: true },
        client.signal,
      );
      asked.catch(() => undefined);
      const signal = await arrived.promise;
      if (withBytes) await (await asked).body?.getReader().read();
      const gone = new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve()),
      );
      client.abort();
      await gone;
      await gateway.until((status) => status.in_flight === 0);
    }
  });

  test("a request goes to another neuron when the first is gone", async () => {
    const dead = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
    const alive = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1 });
    const gateway = await gatewayOver([dead, alive]);
    await dead.kill();
    const responses = await Promise.all([1, 2, 3, 4].map(() => gateway.chat("m")));
    for (const response of responses) expect(response.status).toBe(200);
  });

  test("a request that a neuron drops before any byte is tried elsewhere once, not everywhere", async () => {
    const neurons = [0, 1, 2].map(() => {
      const neuron = fakeNeuron().addModel("m", { state: "ready" });
      neuron.answer = async () => {
        await neuron.kill();
        return Response.json({});
      };
      return neuron;
    });
    const gateway = await gatewayOver(neurons);
    const response = await gateway.chat("m");
    expect(response.status).toBeGreaterThanOrEqual(502);
    const seen = neurons.reduce((sum, neuron) => sum + neuron.count("/v1/chat/completions"), 0);
    expect(seen).toBe(2);
  });

  test("a neuron that says it is unavailable is passed over", async () => {
    const full = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
    full.answer = () => failure(503, "unavailable", "Draining");
    const free = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 100 });
    const gateway = await gatewayOver([full, free]);
    const response = await gateway.chat("m");
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-route")).toContain("neuron=b");
    expect(await gateway.metrics()).toContain('cortex_failovers_total{phase="answer"} 1');
  });

  for (const status of [401, 403, 404, 408, 429, 500, 502, 503, 504, 507]) {
    test(`a neuron's ${status} before the first token is not the last word`, async () => {
      const first = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
      first.answer = () => failure(status, "internal", "Says why");
      const second = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1 });
      const gateway = await gatewayOver([first, second]);
      for (const stream of [false, true]) {
        const response = await gateway.chat("m", { stream });
        expect(response.status).toBe(200);
        expect(await response.text()).toContain(stream ? "[DONE]" : "Hello");
      }
      expect(first.count("/v1/chat/completions")).toBe(2);
    });
  }

  for (const status of [400, 405, 409, 413, 422, 501]) {
    test(`a neuron's ${status} is the last word, and passes as it is`, async () => {
      const neurons = [0, 1].map(() => fakeNeuron().addModel("m", { state: "ready" }));
      for (const neuron of neurons)
        neuron.answer = () => failure(status, "unsupported", "Says why");
      const gateway = await gatewayOver(neurons);
      const response = await gateway.chat("m");
      expect(response.status).toBe(status);
      expect((await errorOf(response)).message).toBe("Says why");
      const seen = neurons.reduce((sum, neuron) => sum + neuron.count("/v1/chat/completions"), 0);
      expect(seen).toBe(1);
    });
  }

  test("three answers of status 500 in a row keep requests away from that model of that neuron", async () => {
    const first = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
    first.answer = () => failure(500, "internal", "The neuron failed to handle this request");
    const second = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1 });
    const gateway = await gatewayOver([first, second]);
    for (let request = 0; request < 6; request += 1) {
      expect((await gateway.chat("m")).status).toBe(200);
    }
    expect(first.count("/v1/chat/completions")).toBe(3);
  });

  test("a request at which every neuron fails goes to few of them, and its client hears the last one", async () => {
    const neurons = [0, 1, 2, 3].map(() => {
      const neuron = fakeNeuron().addModel("m", { state: "ready" });
      neuron.answer = () => failure(500, "internal", "The neuron failed to handle this request");
      return neuron;
    });
    const gateway = await gatewayOver(neurons);
    const response = await gateway.chat("m");
    expect(response.status).toBe(500);
    expect(await errorOf(response)).toMatchObject({ code: "internal", source: "neuron" });
    const seen = neurons.reduce((sum, neuron) => sum + neuron.count("/v1/chat/completions"), 0);
    expect(seen).toBe(2);
  });

  test("refusals are asked elsewhere within the budget alone", async () => {
    const full = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
    full.answer = () => failure(429, "queue_full", "Queue is full");
    const free = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1 });
    const gateway = await gatewayOver([full, free]);
    const statuses: number[] = [];
    for (let request = 0; request < 400; request += 1) {
      const response = await gateway.chat("m");
      await response.body?.cancel();
      statuses.push(response.status);
    }
    expect(full.count("/v1/chat/completions")).toBe(400);
    // Three hundred, and a fifth of the requests.
    const answered = statuses.filter((status) => status === 200).length;
    expect(Math.abs(answered - 380)).toBeLessThanOrEqual(1);
    expect(statuses.slice(0, 300)).not.toContain(429);
  });

  test("a model that the neuron has dropped meanwhile is loaded again", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    // The neuron forgets without telling anybody.
    neuron.models.set("m", { ...neuron.model("m"), state: "absent" });
    neuron.answer = (request) =>
      neuron.model("m").state === "ready"
        ? answerChat(request)
        : failure(503, "model_not_loaded", "Model 'm' is not loaded");
    expect((await gateway.chat("m")).status).toBe(200);
    expect(neuron.count("/models/load")).toBe(1);
  });

  test("the last neuron's refusal reaches the client with Retry-After", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.answer = () => failure(429, "queue_full", "Queue is full");
    const gateway = await gatewayOver([neuron]);
    const response = await gateway.chat("m");
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await errorOf(response)).toMatchObject({ code: "queue_full", source: "neuron" });
  });

  test("a client's own mistake is answered by the neuron and not tried elsewhere", async () => {
    const neurons = [0, 1].map(() => {
      const neuron = fakeNeuron().addModel("m", { state: "ready" });
      neuron.answer = () => failure(400, "invalid_request", "Temperature is negative");
      return neuron;
    });
    const gateway = await gatewayOver(neurons);
    expect((await gateway.chat("m")).status).toBe(400);
    const seen = neurons.reduce((sum, neuron) => sum + neuron.count("/v1/chat/completions"), 0);
    expect(seen).toBe(1);
  });

  test("a reader that stalls stops the neuron instead of filling memory", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    let sent = 0;
    let pulling = Promise.withResolvers<void>();
    const piece = chunk("x".repeat(64 * 1024));
    neuron.answer = () =>
      new Response(
        new ReadableStream<Uint8Array>({
          pull: (controller) => {
            sent += piece.length;
            controller.enqueue(new TextEncoder().encode(piece));
            pulling.resolve();
            pulling = Promise.withResolvers<void>();
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      );
    const gateway = await gatewayOver([neuron]);
    const body = JSON.stringify({ model: "m", stream: true });
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port: gateway.port,
      socket: {
        open: (socket) => {
          socket.pause();
          socket.write(
            `POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          );
        },
        data: () => undefined,
      },
    });
    // The neuron is asked for more until every buffer on the way is full.
    let before = -1;
    while (sent !== before) {
      before = sent;
      await Promise.race([pulling.promise, Bun.sleep(300)]);
    }
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    client.terminate();
    await gateway.until((status) => status.in_flight === 0);
  });
});
