import { describe, expect, test } from "bun:test";
import {
  ANTHROPIC_END,
  ANTHROPIC_START,
  anthropicEvent,
  anthropicText,
} from "../../fakes/fake-api.ts";
import { errorOf, fakeApi, fakeNeuron, gatewayOver } from "../fixture.ts";

const MESSAGES = { max_tokens: 16, messages: [{ role: "user", content: "Hi" }] };

/** Runs with these variables set. */
async function withEnv<T>(env: Record<string, string>, run: () => Promise<T>): Promise<T> {
  Object.assign(process.env, env);
  try {
    return await run();
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
  }
}

describe("APIs beside neurons", () => {
  test("an API's models are found, listed, served and measured like any other", async () => {
    const api = fakeApi("openai", ["gpt"]);
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron], { apis: [{ api, name: "cloud" }] });
    const list = (await (await fetch(`${gateway.url}/v1/models`)).json()) as {
      data: { id: string; state: string }[];
    };
    expect(list.data.map(({ id, state }) => [id, state])).toEqual([
      ["gpt", "ready"],
      ["m", "ready"],
    ]);
    const response = await gateway.chat("gpt", { stream: true });
    expect(response.headers.get("x-cortex-route")).toBe("neuron=cloud; reason=only");
    expect(await response.text()).toEndWith("data: [DONE]\n\n");
    expect(await gateway.metrics()).toContain(
      'cortex_completion_tokens_total{model="gpt",neuron="cloud"} 2',
    );
    expect(api.asked.map(({ path }) => path)).toEqual(["/v1/chat/completions"]);
    const status = await gateway.status();
    expect(status.state).toBe("ok");
    expect(status.neurons[1]).toMatchObject({ name: "cloud", kind: "openai", devices: [] });
  });

  test("the pages of Anthropic's list are all read", async () => {
    const api = fakeApi("anthropic", ["c1", "c2", "c3", "c4", "c5"]);
    api.pageModels = 2;
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    const status = await gateway.status();
    expect(status.models.map(({ id }) => id)).toEqual(["c1", "c2", "c3", "c4", "c5"]);
    expect(api.requests[0]?.headers["anthropic-version"]).toBe("2023-06-01");
  });

  test("listed models need no list of the API, and are called there as it calls them", async () => {
    const api = fakeApi("openai");
    const entry = { models: ["gpt", { id: "vendor/gpt-mini", name: "small", context: 4096 }] };
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud", entry }] });
    const model = await (await fetch(`${gateway.url}/v1/models/small`)).json();
    expect(model).toMatchObject({ id: "small", context_length: 4096, max_input_tokens: 4096 });
    expect((await gateway.chat("small")).status).toBe(200);
    expect(api.asked[0]?.body).toMatchObject({ model: "vendor/gpt-mini" });
    expect((await gateway.chat("vendor/gpt-mini")).status).toBe(404);
  });

  test("each API gets its own key in its own header, and never the client's", async () => {
    const openai = fakeApi("openai", ["gpt"]);
    const anthropic = fakeApi("anthropic", ["claude"]);
    openai.key = "openai-secret";
    anthropic.key = "anthropic-secret";
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const env = { KEY_ONE: "openai-secret\n", KEY_TWO: "anthropic-secret" };
    const gateway = await withEnv(env, () =>
      gatewayOver([neuron], {
        apis: [
          { api: openai, name: "one", entry: { api_key_env: "KEY_ONE" } },
          { api: anthropic, name: "two", entry: { api_key_env: "KEY_TWO" } },
        ],
      }),
    );
    const asks: [string, string, string][] = [
      ["/v1/chat/completions", "m", "authorization"],
      ["/v1/chat/completions", "m", "x-api-key"],
      ["/v1/chat/completions", "gpt", "authorization"],
      ["/v1/chat/completions", "gpt", "x-api-key"],
      ["/v1/messages?beta=true", "claude", "authorization"],
      ["/v1/messages?beta=true", "claude", "x-api-key"],
    ];
    for (const [path, model, header] of asks) {
      const response = await fetch(gateway.url + path, {
        method: "POST",
        headers: {
          [header]: header === "authorization" ? "Bearer client-key" : "client-key",
          cookie: "client-key",
          "anthropic-beta": "beta-1,beta-2",
        },
        body: JSON.stringify({ model, ...MESSAGES }),
      });
      expect([path, model, response.status]).toEqual([path, model, 200]);
    }
    for (const seen of [...neuron.requests, ...openai.requests, ...anthropic.requests]) {
      expect(JSON.stringify(seen.headers)).not.toContain("client-key");
    }
    expect(JSON.stringify([...neuron.requests, ...openai.requests])).not.toContain("beta-1");
    expect(JSON.stringify(neuron.requests)).not.toContain("secret");
    expect(JSON.stringify(openai.requests)).not.toContain("anthropic-secret");
    expect(JSON.stringify(anthropic.requests)).not.toContain("openai-secret");
    expect(anthropic.asked[0]?.headers["anthropic-beta"]).toBe("beta-1,beta-2");
    expect(anthropic.asked[0]?.headers["anthropic-version"]).toBe("2023-06-01");
  });

  test("a key that would end its header line is refused at the start", async () => {
    const api = fakeApi("openai", ["gpt"]);
    const apis = [{ api, name: "one", entry: { api_key_env: "KEY_ONE" } }];
    const started = withEnv({ KEY_ONE: "key\r\nX-Evil: 1" }, () => gatewayOver([], { apis }));
    const error = await started.catch((thrown: unknown) => thrown);
    expect(String(error)).toContain("KEY_ONE holds what no header may hold");
  });

  test("an API that refuses the key is down, and a client is not told that its own is wrong", async () => {
    const api = fakeApi("openai", ["gpt"]);
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    api.key = "other";
    const response = await gateway.chat("gpt");
    expect(response.status).toBe(502);
    expect((await errorOf(response)).message).toBe("cloud refuses the gateway's key (401)");
    const keyless = fakeApi("anthropic", ["claude"]);
    keyless.key = "other";
    const second = await gatewayOver([], { apis: [{ api: keyless, name: "cloud" }] });
    const status = await second.until(({ neurons }) => neurons[0]?.state === "down");
    expect(status.neurons[0]?.cause).toBe("cloud refuses the gateway's key (401)");
  });

  test("an API's models are neither loaded nor unloaded, and the refusal says why", async () => {
    const api = fakeApi("openai", ["gpt"]);
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    for (const [path, body] of [
      ["/admin/load", { model: "gpt" }],
      ["/admin/load", { model: "gpt", neuron: "cloud" }],
      ["/admin/unload", { model: "gpt" }],
      ["/admin/unload", { model: "gpt", neuron: "cloud" }],
    ] as const) {
      const response = await gateway.post(path, body);
      expect([path, response.status]).toEqual([path, 400]);
      expect((await errorOf(response)).message).toContain("is an API of the kind 'openai'");
    }
    const plan = (await (await gateway.post("/admin/plan", { model: "gpt" })).json()) as object;
    expect(plan).toMatchObject({ choice: { neuron: "cloud", cold: false } });
  });

  test("a model of an API and of a neuron goes to the neuron when the API is limited", async () => {
    const api = fakeApi("openai", ["m"]);
    const neuron = fakeNeuron().addModel("m", { state: "ready", slots: 1 });
    api.answer = () => api.refuse(429, "rate_limit_error", "Slow down", { "retry-after": "30" });
    const gateway = await gatewayOver([neuron], { apis: [{ api, name: "cloud" }] });
    for (let turn = 0; turn < 6; turn += 1) expect((await gateway.chat("m")).status).toBe(200);
    // Asked once at most: from then on it is passed over.
    expect(api.asked.length).toBeLessThan(2);
  });

  test("a limited API without an alternative is asked again, and its words reach the client", async () => {
    const api = fakeApi("openai", ["m"]);
    api.answer = () => api.refuse(429, "rate_limit_error", "Slow down", { "retry-after": "30" });
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    for (const turn of [1, 2]) {
      const response = await gateway.chat("m");
      expect(response.status).toBe(429);
      expect(response.headers.get("retry-after")).toBe("30");
      expect((await errorOf(response)).message).toBe("Slow down");
      expect(api.asked).toHaveLength(turn);
    }
    // Its list of models was asked for once, at the start.
    expect(api.requests).toHaveLength(3);
  });

  test("an API that fails again and again is left alone for a while, one that lacks a model is not", async () => {
    const api = fakeApi("openai", ["m"]);
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    api.answer = () => api.refuse(404, "invalid_request_error", "No such model");
    for (let turn = 0; turn < 5; turn += 1) expect((await gateway.chat("m")).status).toBe(404);
    api.answer = () => api.refuse(500, "server_error", "Broken");
    const statuses: number[] = [];
    for (let turn = 0; turn < 5; turn += 1) statuses.push((await gateway.chat("m")).status);
    expect(statuses).toEqual([500, 500, 500, 503, 503]);
    expect(api.asked).toHaveLength(8);
  });

  test("a redirect is not followed, and its answer is no answer", async () => {
    const target = fakeApi("openai", ["m"]);
    const api = fakeApi("openai", ["m"]);
    api.answer = () =>
      new Response(null, { status: 307, headers: { location: `${target.url}/chat/completions` } });
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", messages: [] }),
      redirect: "manual",
    });
    expect(response.status).toBe(502);
    expect(target.asked).toHaveLength(0);
  });

  test("an endpoint that Anthropic's dialect does not have is refused for its models", async () => {
    const api = fakeApi("anthropic", ["claude"]);
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    for (const path of ["/v1/embeddings", "/v1/completions", "/v1/rerank"]) {
      const response = await gateway.post(path, { model: "claude", input: "x" });
      expect([path, response.status]).toEqual([path, 400]);
      expect((await errorOf(response)).message).toContain(`has no ${path}`);
    }
    expect(api.asked).toHaveLength(0);
  });

  test("Anthropic's own streams pass byte for byte, and their usage is counted", async () => {
    const api = fakeApi("anthropic", ["claude"]);
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    const response = await gateway.post("/v1/messages", {
      model: "claude",
      stream: true,
      ...MESSAGES,
    });
    expect(response.headers.get("request-id")).toBe(response.headers.get("x-request-id") ?? "");
    expect(await response.text()).toBe(
      ANTHROPIC_START + anthropicText(["Hel", "lo"]) + ANTHROPIC_END,
    );
    const metrics = await gateway.metrics();
    expect(metrics).toContain('cortex_prompt_tokens_total{model="claude",neuron="cloud"} 9');
    expect(metrics).toContain('cortex_cached_prompt_tokens_total{model="claude",neuron="cloud"} 5');
    expect(metrics).toContain('cortex_completion_tokens_total{model="claude",neuron="cloud"} 2');
    expect(metrics).toContain(
      'cortex_requests_total{model="claude",neuron="cloud",dialect="messages",status="200"} 1',
    );
  });

  test("a cut stream of Anthropic's ends with an error event, one that fails before a token with a status", async () => {
    const api = fakeApi("anthropic", ["claude"]);
    api.answer = () =>
      new Response(ANTHROPIC_START + anthropicText(["Hel"]), {
        headers: { "content-type": "text/event-stream" },
      });
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    const ask = { model: "claude", stream: true, ...MESSAGES };
    const text = await (await gateway.post("/v1/messages", ask)).text();
    expect(text).toContain("event: error\ndata: ");
    expect(text).not.toContain("message_stop");
    const error = anthropicEvent({
      type: "error",
      error: { type: "overloaded_error", message: "" },
    });
    api.answer = () =>
      new Response(ANTHROPIC_START + error, { headers: { "content-type": "text/event-stream" } });
    const refused = await gateway.post("/v1/messages", ask);
    expect(refused.status).toBe(529);
    expect(await refused.json()).toMatchObject({ error: { type: "overloaded_error" } });
    const late = ANTHROPIC_START + anthropicText(["Hel"]) + error;
    api.answer = () => new Response(late, { headers: { "content-type": "text/event-stream" } });
    expect(await (await gateway.post("/v1/messages", ask)).text()).toBe(late);
  });

  test("an API that dies is down and comes back by itself", async () => {
    const api = fakeApi("openai", ["gpt"]);
    const gateway = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    await api.kill();
    expect((await gateway.chat("gpt")).status).toBe(503);
    await gateway.until(({ neurons }) => neurons[0]?.state === "down");
    api.start();
    await gateway.until(({ neurons }) => neurons[0]?.state === "up");
    expect((await gateway.chat("gpt")).status).toBe(200);
  });
});
