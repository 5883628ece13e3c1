import { describe, expect, test } from "bun:test";
import { Listener } from "../../../src/gateway/listener/listener.ts";
import { fakeApi, fakeNeuron, gatewayOver } from "../fixture.ts";

type Dialect = "chat" | "messages" | "responses";

/** A path of each dialect, and of one that does not exist there. */
const PATHS: Record<Dialect, { post: string; unknown: string; body: object }> = {
  chat: { post: "/v1/chat/completions", unknown: "/v1/nothing", body: { messages: [] } },
  messages: {
    post: "/v1/messages",
    unknown: "/v1/messages/batches",
    body: { max_tokens: 5, messages: [{ role: "user", content: "Hi" }] },
  },
  responses: { post: "/v1/responses", unknown: "/v1/responses/a/b/c", body: { input: "Hi" } },
};
const DIALECTS = Object.keys(PATHS) as Dialect[];

interface Told {
  readonly status: number;
  readonly type: string;
  readonly code: string | undefined;
  readonly message: string;
}

/** Reads an error and checks the envelope's shape and the request's id on the way. */
async function readError(response: Response, dialect: Dialect): Promise<Told> {
  const id = response.headers.get("request-id") ?? "";
  expect(id).toMatch(/^req_[0-9a-f]{32}$/);
  expect(response.headers.get("x-request-id")).toBe(id);
  expect(response.headers.get("content-type")).toContain("application/json");
  const body = (await response.json()) as {
    type?: string;
    request_id?: string;
    error: { type: string; code?: string; message: string };
  };
  if (dialect === "messages") {
    expect(body.type).toBe("error");
    expect(body.request_id).toBe(id);
    expect(Object.keys(body.error).sort()).toEqual(["message", "type"]);
  } else expect(Object.keys(body)).toEqual(["error"]);
  const { type, code, message } = body.error;
  return { status: response.status, type, code, message };
}

describe.each(DIALECTS)("errors for clients of %s", (dialect) => {
  const { post, unknown, body } = PATHS[dialect];
  const pick = <T>(chat: T, messages: T) => (dialect === "messages" ? messages : chat);

  test("400, 404, 405 and 413", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron], { bodyBytesMax: 2_000 });
    const json = (text: string) => ({ method: "POST", body: text });
    const cases: [string, RequestInit, number, string, string][] = [
      [unknown, {}, 404, "invalid_request_error", "not_found_error"],
      [unknown, json("{}"), 404, "invalid_request_error", "not_found_error"],
      [post, {}, 405, "invalid_request_error", "invalid_request_error"],
      [post, { method: "PUT", body: "{}" }, 405, "invalid_request_error", "invalid_request_error"],
      [post, json("{"), 400, "invalid_request_error", "invalid_request_error"],
      [
        post,
        json(JSON.stringify({ ...body, model: "nope" })),
        404,
        "invalid_request_error",
        "not_found_error",
      ],
      [post, json("x".repeat(3_000)), 413, "invalid_request_error", "request_too_large"],
    ];
    for (const [path, init, status, chatType, messagesType] of cases) {
      const told = await readError(await fetch(gateway.url + path, init), dialect);
      const shown = `${init.method ?? "GET"} ${path}`;
      expect([shown, told.status, told.type]).toEqual([
        shown,
        status,
        pick(chatType, messagesType),
      ]);
      expect(told.message).not.toBe("");
    }
  });

  test("429 for a full queue and 503 or 529 for a fleet that is down, both with Retry-After", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready", slots: 1 });
    neuron.answer = () => new Promise<Response>(() => undefined);
    const gateway = await gatewayOver([neuron], { limits: { queue_max: 1 } });
    const client = new AbortController();
    const asked = { ...body, model: "m" };
    const waiting = [1, 2].map(() => gateway.post(post, asked, client.signal));
    for (const request of waiting) request.catch(() => undefined);
    await gateway.until((status) => status.in_flight === 2);
    const full = await gateway.post(post, asked);
    expect(full.headers.get("retry-after")).toBe("1");
    expect(await readError(full, dialect)).toMatchObject({
      status: 429,
      type: "rate_limit_error",
    });
    client.abort();
    await neuron.kill();
    await gateway.until((status) => status.state === "no_neurons");
    const down = await gateway.post(post, asked);
    expect(down.headers.get("retry-after")).toBe("2");
    expect(await readError(down, dialect)).toMatchObject({
      status: pick(503, 529),
      type: pick("server_error", "overloaded_error"),
    });
  });

  test("502 for a neuron that breaks", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.answer = async () => {
      await neuron.kill();
      return new Response();
    };
    const gateway = await gatewayOver([neuron]);
    const told = await readError(await gateway.post(post, { ...body, model: "m" }), dialect);
    expect([502, 503, 529]).toContain(told.status);
    expect(told.type).toBe(
      pick("server_error", told.status === 502 ? "api_error" : "overloaded_error"),
    );
  });

  test("both ways to send a key are taken, without one, too, and with headers that nobody knows", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    for (const headers of [
      { authorization: "Bearer key" },
      { "x-api-key": "key" },
      {
        "x-next-year": "1",
        "openai-beta": "x",
        "anthropic-dangerous-direct-browser-access": "true",
      },
    ]) {
      const response = await fetch(gateway.url + post, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ ...body, model: "m" }),
      });
      expect(response.status).toBe(200);
    }
  });

  test("the path without /v1 is the same", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const short = post.slice("/v1".length);
    expect((await gateway.post(short, { ...body, model: "m" })).status).toBe(200);
    expect((await readError(await fetch(gateway.url + short), dialect)).status).toBe(405);
  });
});

test("the listener's own refusals are told in the dialect of the path: 408 and 413", async () => {
  const neuron = fakeNeuron().addModel("m", { state: "ready" });
  const gateway = await gatewayOver([neuron], { bodyBytesMax: 1_024 });
  const response = await fetch(`${gateway.url}/v1/messages?beta=true`, {
    method: "POST",
    body: new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(600)),
    }),
  });
  expect(await readError(response, "messages")).toMatchObject({
    status: 413,
    type: "request_too_large",
  });
});

test("a request that comes too slowly is known by its path", async () => {
  const refused = Promise.withResolvers<string | undefined>();
  const listener = new Listener({
    address: "127.0.0.1:0",
    bodyBytesMax: 1_024,
    deadlines: { requestMs: 1 },
    handler: {
      handle: () => undefined,
      refuse: (_error, reply, { path }) => {
        refused.resolve(path);
        reply.send(408, "", "");
      },
    },
  });
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(listener.url).port),
    socket: {
      open: (socket) => {
        socket.write("POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n{");
      },
      data: () => undefined,
    },
  });
  expect(await refused.promise).toBe("/v1/messages");
  client.terminate();
  listener.kill();
});

describe("models", () => {
  const anthropic = { headers: { "anthropic-version": "2023-06-01" } };

  test("one list satisfies both dialects' clients", async () => {
    const neuron = fakeNeuron().addModel("a").addModel("b");
    const gateway = await gatewayOver([neuron]);
    for (const init of [{}, anthropic]) {
      const list = (await (await fetch(`${gateway.url}/v1/models`, init)).json()) as object;
      expect(list).toMatchObject({
        object: "list",
        has_more: false,
        first_id: "a",
        last_id: "b",
        data: [
          {
            id: "a",
            object: "model",
            created: expect.any(Number),
            owned_by: "cortex",
            type: "model",
            display_name: "a",
            created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
            max_input_tokens: 8192,
          },
          { id: "b" },
        ],
      });
    }
    expect(await (await fetch(`${gateway.url}/models/a`)).json()).toMatchObject({ id: "a" });
    const one = await (await fetch(`${gateway.url}/v1/models/a`, anthropic)).json();
    expect(one).toMatchObject({ capabilities: null });
  });

  test("pages are cut as Anthropic's clients ask for them", async () => {
    const neuron = fakeNeuron();
    for (const id of ["a", "b", "c", "d", "e"]) neuron.addModel(id);
    const gateway = await gatewayOver([neuron]);
    const page = async (query: string) => {
      const list = (await (await fetch(`${gateway.url}/v1/models?${query}`, anthropic)).json()) as {
        data: { id: string }[];
        has_more: boolean;
        first_id: string | null;
        last_id: string | null;
      };
      return [list.data.map(({ id }) => id).join(""), list.has_more, list.first_id, list.last_id];
    };
    expect(await page("limit=2")).toEqual(["ab", true, "a", "b"]);
    expect(await page("limit=2&after_id=b")).toEqual(["cd", true, "c", "d"]);
    expect(await page("limit=2&after_id=d")).toEqual(["e", false, "e", "e"]);
    expect(await page("limit=2&before_id=d")).toEqual(["bc", true, "b", "c"]);
    expect(await page("limit=1000")).toEqual(["abcde", false, "a", "e"]);
    expect(await page("after_id=e")).toEqual(["", false, null, null]);
    const bad = await fetch(`${gateway.url}/v1/models?limit=0`, anthropic);
    expect(await readError(bad, "messages")).toMatchObject({ status: 400 });
  });

  test("an unknown model is not found in the dialect of the client", async () => {
    const gateway = await gatewayOver([fakeNeuron().addModel("a")]);
    const url = `${gateway.url}/v1/models/nope`;
    expect(await readError(await fetch(url), "chat")).toMatchObject({ code: "model_not_found" });
    expect(await readError(await fetch(url, anthropic), "messages")).toMatchObject({
      status: 404,
      type: "not_found_error",
    });
  });
});

describe("tokens are counted", () => {
  const ask = { messages: [{ role: "user", content: "Hi ".repeat(100) }] };
  const path = "/v1/messages/count_tokens";

  test("by a neuron with the model's own template", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.answer = () => Response.json({ input_tokens: 123 });
    const gateway = await gatewayOver([neuron]);
    const counts = await Promise.all(
      Array.from({ length: 13 }, () => gateway.post(`${path}?beta=true`, { model: "m", ...ask })),
    );
    for (const response of counts) {
      expect(response.headers.get("x-cortex-estimate")).toBeNull();
      expect(await response.json()).toEqual({ input_tokens: 123 });
    }
    const seen = neuron.requests.find((request) => request.path === "/v1/count_tokens");
    expect(seen?.body).toMatchObject({ model: "m", messages: [{ role: "user" }] });
    expect(await gateway.metrics()).toContain('dialect="count_tokens",status="200"} 13');
  });

  test("by Anthropic's API itself, and by nobody for OpenAI's, which is said", async () => {
    const gateway = await gatewayOver([], {
      apis: [
        { api: fakeApi("anthropic", ["claude"]), name: "one" },
        { api: fakeApi("openai", ["gpt"]), name: "two" },
      ],
    });
    const exact = await gateway.post(path, { model: "claude", ...ask });
    expect(await exact.json()).toEqual({ input_tokens: 77 });
    const guess = await gateway.post(path, { model: "gpt", ...ask });
    expect(guess.headers.get("x-cortex-estimate")).toBe("true");
    const { input_tokens } = (await guess.json()) as { input_tokens: number };
    expect(input_tokens).toBeGreaterThan(60);
    expect(input_tokens).toBeLessThan(150);
  });

  test("exactly where only one of two upstreams can", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.answer = () => Response.json({ input_tokens: 123 });
    const apis = [{ api: fakeApi("openai", ["m"]), name: "cloud" }];
    const gateway = await gatewayOver([neuron], { apis });
    const response = await gateway.post(path, { model: "m", ...ask });
    expect(await response.json()).toEqual({ input_tokens: 123 });
    expect(neuron.count("/models/load")).toBe(1);
  });

  test("never at the cost of a model that serves", async () => {
    const neuron = fakeNeuron().addModel("busy", { state: "ready", bytes: 8 * 1024 ** 3 });
    neuron.addModel("m", { bytes: 8 * 1024 ** 3 });
    const serving = Promise.withResolvers<Response>();
    neuron.answer = ({ path: asked }) =>
      asked === "/v1/count_tokens" ? Response.json({ input_tokens: 123 }) : serving.promise;
    const gateway = await gatewayOver([neuron]);
    const chat = gateway.chat("busy");
    await neuron.arrived("/v1/chat/completions");
    const count = gateway.post(path, { model: "m", ...ask });
    await gateway.until(({ waiting }) => waiting === 1);
    await neuron.arrived("/models/plan");
    expect(neuron.count("/models/unload")).toBe(0);
    serving.resolve(Response.json({ choices: [] }));
    expect((await chat).status).toBe(200);
    expect(await (await count).json()).toEqual({ input_tokens: 123 });
    expect(neuron.count("/models/unload")).toBe(1);
  });
});

describe("stored responses", () => {
  test("are read, built upon, listed and deleted", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const first = (await (
      await gateway.post("/v1/responses", { model: "m", input: "My name is Ann" })
    ).json()) as { id: string };
    const url = `${gateway.url}/v1/responses/${first.id}`;
    expect(await (await fetch(url)).json()).toEqual(first);
    const stream = await gateway.post("/v1/responses", {
      model: "m",
      input: "Who am I?",
      stream: true,
      previous_response_id: first.id,
    });
    const completed = /event: response.completed\ndata: (.*)\n/.exec(await stream.text())?.[1];
    const { response: second } = JSON.parse(completed ?? "{}") as { response: { id: string } };
    const seen = neuron.requests.findLast((request) => request.path === "/v1/chat/completions");
    expect(seen?.body).toMatchObject({
      messages: [
        { role: "user", content: "My name is Ann" },
        { role: "assistant", content: "Hello" },
        { role: "user", content: "Who am I?" },
      ],
    });
    expect((await fetch(`${gateway.url}/v1/responses/${second.id}`)).status).toBe(200);
    const items = await (await fetch(`${url}/input_items?limit=1`)).json();
    expect(items).toMatchObject({ object: "list", has_more: false, data: [{ role: "user" }] });
    const cancel = await fetch(`${url}/cancel`, { method: "POST" });
    expect(await readError(cancel, "responses")).toMatchObject({ status: 400 });
    expect((await fetch(url, { method: "DELETE" })).status).toBe(200);
    expect(await readError(await fetch(url), "responses")).toMatchObject({ status: 404 });
    expect(await readError(await fetch(`${url}/cancel`), "responses")).toMatchObject({
      status: 405,
    });
  });

  test("are not kept where the client says so, and a missing one is the client's fault", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const response = await gateway.post("/v1/responses", { model: "m", input: "x", store: false });
    const { id } = (await response.json()) as { id: string };
    expect((await fetch(`${gateway.url}/v1/responses/${id}`)).status).toBe(404);
    const next = { model: "m", input: "y", previous_response_id: id };
    const told = await readError(await gateway.post("/v1/responses", next), "responses");
    expect([told.status, told.message.includes(id)]).toEqual([400, true]);
  });
});
