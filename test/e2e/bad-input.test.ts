import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Cluster, chat } from "./processes.ts";

const MODEL = "tiny-a";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create();
  const neuron = await cluster.addNeuron("one", { toml: "[defaults]\ncontext = 2048" });
  await cluster.startGateway();
  await neuron.post("/models/load", { model: MODEL });
}, 60_000);

afterAll(() => cluster.stop());

interface Case {
  readonly name: string;
  readonly body: unknown;
  readonly status: number;
  readonly says: readonly string[];
}

const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;

const CASES: readonly Case[] = [
  { name: "malformed JSON", body: '{"model": ', status: 400, says: ["JSON"] },
  { name: "an empty body", body: "", status: 400, says: ["JSON"] },
  { name: "an array", body: "[]", status: 400, says: ["object"] },
  { name: "a missing model", body: { messages: [] }, status: 400, says: ["model"] },
  {
    name: "a model that is a number",
    body: chat(MODEL, { model: 7 }),
    status: 400,
    says: ["model"],
  },
  { name: "an unknown model", body: chat("tiny-z"), status: 404, says: ["tiny-z"] },
  { name: "no messages", body: { model: MODEL }, status: 400, says: ["messages"] },
  { name: "empty messages", body: chat(MODEL, { messages: [] }), status: 400, says: ["messages"] },
  {
    name: "messages as text",
    body: chat(MODEL, { messages: "hi" }),
    status: 400,
    says: ["messages"],
  },
  {
    name: "an unknown role",
    body: chat(MODEL, { messages: [{ role: "wizard", content: "hi" }] }),
    status: 400,
    says: ["wizard"],
  },
  {
    name: "a hot temperature",
    body: chat(MODEL, { temperature: 9 }),
    status: 400,
    says: ["9", "2"],
  },
  {
    name: "a text temperature",
    body: chat(MODEL, { temperature: "hot" }),
    status: 400,
    says: ["temperature"],
  },
  {
    name: "no tokens",
    body: chat(MODEL, { max_tokens: 0 }),
    status: 400,
    says: ["max_tokens", "0"],
  },
  { name: "negative tokens", body: chat(MODEL, { max_tokens: -5 }), status: 400, says: ["-5"] },
  {
    name: "a prompt longer than the context",
    body: chat(MODEL, { messages: [{ role: "user", content: "sea ".repeat(4_000) }] }),
    status: 400,
    says: ["2048"],
  },
  {
    name: "a deeply nested schema",
    body: `{"model":"${MODEL}","messages":[{"role":"user","content":"hi"}],"response_format":${deep}}`,
    status: 400,
    says: ["deep"],
  },
];

for (const target of ["gateway", "neuron"] as const) {
  const url = () => (target === "gateway" ? cluster.url : (cluster.neurons[0]?.url ?? ""));

  describe(`the ${target} refuses with a clear 4xx`, () => {
    for (const { name, body, status, says } of CASES) {
      for (const stream of [false, true]) {
        test(`${name}${stream ? ", streamed" : ""}`, async () => {
          const sent =
            typeof body === "string" ? body : JSON.stringify({ ...(body as object), stream });
          const response = await fetch(`${url()}/v1/chat/completions`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: sent,
          });
          const text = await response.text();
          expect({ status: response.status, text }).toMatchObject({ status });
          const { error } = JSON.parse(text) as { error: { message: string; type: string } };
          expect(error.type).toBe("invalid_request_error");
          for (const word of says) expect(error.message).toContain(word);
        }, 20_000);
      }
    }

    test("an unknown route", async () => {
      const response = await fetch(`${url()}/v1/nonsense`);
      expect(response.status).toBe(404);
      const { error } = (await response.json()) as { error: { message: string } };
      expect(error.message).toContain("/v1/nonsense");
    });

    test("a body over the limit", async () => {
      const response = await fetch(`${url()}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `{"model":"${MODEL}","padding":"${"x".repeat(65 * 1024 * 1024)}"}`,
      });
      expect(response.status).toBe(413);
      const { error } = (await response.json()) as { error: { message: string } };
      expect(error.message).toContain(String(64 * 1024 * 1024));
    }, 30_000);
  });
}
