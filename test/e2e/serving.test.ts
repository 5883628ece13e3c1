import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { Cluster, chat, readStream } from "./processes.ts";

const MODEL = "smollm2-135m-instruct";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create();
  await cluster.addNeuron("one");
  await cluster.startGateway();
}, 60_000);

afterAll(() => cluster.stop());

describe("the official OpenAI client", () => {
  for (const target of ["gateway", "neuron"] as const) {
    const client = () =>
      new OpenAI({
        baseURL: `${target === "gateway" ? cluster.url : cluster.neurons[0]?.url}/v1`,
        apiKey: "none",
        maxRetries: 0,
      });

    test(`gets a whole answer with exact usage from the ${target}`, async () => {
      if (target === "neuron") await cluster.neurons[0]?.post("/models/load", { model: MODEL });
      const answer = await client().chat.completions.create({
        model: MODEL,
        messages: [{ role: "user", content: "Write a long story about a lighthouse." }],
        max_tokens: 24,
        temperature: 0,
      });
      expect(answer.object).toBe("chat.completion");
      expect(answer.choices[0]?.finish_reason).toBe("length");
      expect(answer.usage?.completion_tokens).toBe(24);
      expect(answer.usage?.total_tokens).toBe((answer.usage?.prompt_tokens ?? 0) + 24);
      expect(answer.choices[0]?.message.content?.length).toBeGreaterThan(20);
    }, 60_000);

    test(`streams the same text as the whole answer from the ${target}`, async () => {
      const request = {
        model: MODEL,
        messages: [{ role: "user" as const, content: "What is the capital of France?" }],
        max_tokens: 32,
        temperature: 0,
        seed: 1,
      };
      // Both then read as much of the prompt: pieces of other lengths round differently, and its first token is close.
      await client().chat.completions.create({ ...request, max_tokens: 1 });
      const whole = await client().chat.completions.create(request);
      const stream = await client().chat.completions.create({
        ...request,
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = "";
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? "";
        usage = chunk.usage ?? usage;
      }
      expect(text).toBe(whole.choices[0]?.message.content ?? "");
      expect(usage?.completion_tokens).toBe(whole.usage?.completion_tokens ?? -1);
      expect(usage?.prompt_tokens).toBe(whole.usage?.prompt_tokens ?? -1);
    }, 60_000);

    test(`completes plain text at the ${target}`, async () => {
      const answer = await client().completions.create({
        model: MODEL,
        prompt: "The three primary colours are red,",
        max_tokens: 8,
        temperature: 0,
      });
      expect(answer.object).toBe("text_completion");
      expect(answer.usage?.completion_tokens).toBe(8);
      expect(answer.choices[0]?.text.length).toBeGreaterThan(0);
    }, 60_000);

    test(`is told clearly that the model makes no embeddings by the ${target}`, async () => {
      const attempt = client().embeddings.create({ model: MODEL, input: "hello" });
      const error = await attempt.then(
        () => undefined,
        (thrown: unknown) => thrown as InstanceType<typeof OpenAI.APIError>,
      );
      expect([400, 501]).toContain(error?.status ?? 0);
      expect(error?.message).toContain("embeddings");
    });

    test(`sees the catalogue of the ${target}`, async () => {
      const ids: string[] = [];
      for await (const model of client().models.list()) ids.push(model.id);
      expect(ids.some((id) => id.startsWith(MODEL))).toBe(true);
      expect(ids.length).toBeGreaterThan(1);
    });

    test(`stops at a stop string without leaking it at the ${target}`, async () => {
      const free = await client().chat.completions.create(chatOf("Count from one to ten."));
      const text = free.choices[0]?.message.content ?? "";
      const stop = text.slice(12, 18);
      const stopped = await client().chat.completions.create({
        ...chatOf("Count from one to ten."),
        stop: [stop],
      });
      expect(stopped.choices[0]?.finish_reason).toBe("stop");
      expect(stopped.choices[0]?.message.content).toBe(text.slice(0, text.indexOf(stop)));
    }, 60_000);
  }
});

describe("the gateway", () => {
  test("names the neuron and the reason of a route", async () => {
    const response = await cluster.post("/v1/chat/completions", chat(MODEL));
    expect(response.headers.get("x-cortex-route")).toContain("one");
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    await response.body?.cancel();
  });

  test("answers a second, longer turn from the prefix cache", async () => {
    const story = "The old lighthouse keeper counted every passing ship. ".repeat(60);
    const ask = async () => {
      const response = await cluster.post(
        "/v1/chat/completions",
        chat(MODEL, { messages: [{ role: "user", content: story }], max_tokens: 4 }),
      );
      return (await response.json()) as {
        usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
      };
    };
    await ask();
    const { usage } = await ask();
    expect(usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(usage.prompt_tokens * 0.9);
  }, 60_000);

  test("counts requests and tokens on its metrics port, labelled by model and neuron", async () => {
    const before = await cluster.metrics();
    const stream = await readStream(
      await cluster.post(
        "/v1/chat/completions",
        chat(MODEL, { stream: true, stream_options: { include_usage: true } }),
      ),
    );
    expect(stream.done).toBe(true);
    const tokens = (text: string) =>
      Number(/^cortex_completion_tokens_total\{[^}]*smollm2[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0);
    const after = await cluster.metrics();
    expect(tokens(after) - tokens(before)).toBe(stream.usage?.completion_tokens ?? -1);
    expect(after).toContain("cortex_time_to_first_token_seconds_bucket");
    expect(after).toContain('neuron="one"');
  });
});

function chatOf(content: string) {
  return {
    model: MODEL,
    messages: [{ role: "user" as const, content }],
    max_tokens: 32,
    temperature: 0,
  };
}
