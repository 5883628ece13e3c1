import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import type { Cluster } from "../processes.ts";
import {
  expectFreed,
  MODEL,
  startSdkCluster,
  TOO_MANY,
  thrownBy,
  waitUntilBusy,
} from "./sdk-cluster.ts";

let cluster: Cluster;
let client: OpenAI;

beforeAll(async () => {
  cluster = await startSdkCluster();
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
}, 60_000);

afterAll(() => cluster.stop());

const Weather = z.object({ city: z.enum(["Oslo", "Lima"]), days: z.number().int().min(1).max(9) });
const WEATHER_SCHEMA = {
  type: "object",
  properties: { city: { type: "string", enum: ["Oslo", "Lima"] } },
  required: ["city"],
  additionalProperties: false,
};
const TOOL = {
  type: "function" as const,
  function: { name: "get_weather", description: "Weather.", parameters: WEATHER_SCHEMA },
};
const RESPONSES_TOOL = {
  type: "function" as const,
  name: "get_weather",
  parameters: WEATHER_SCHEMA,
  strict: true,
};
const chatOf = (content: string, max_tokens: number) => ({
  model: MODEL,
  messages: [{ role: "user" as const, content }],
  max_tokens,
  temperature: 0,
});
const responseOf = (input: string, max_output_tokens: number) => ({
  model: MODEL,
  input,
  max_output_tokens,
  temperature: 0,
  store: false,
});

describe("chat of the OpenAI library", () => {
  test("streams with its own accumulator what the whole answer says", async () => {
    const body = chatOf("Write about the sea.", 12);
    const whole = await client.chat.completions.create(body);
    const runner = client.chat.completions.stream({
      ...body,
      stream_options: { include_usage: true },
    });
    const streamed = await runner.finalChatCompletion();
    expect(streamed.choices[0]?.finish_reason).toBe("length");
    expect(streamed.choices[0]?.message.content?.length).toBeGreaterThan(0);
    expect(streamed.usage?.completion_tokens).toBe(12);
    expect(streamed.usage?.prompt_tokens).toBe(whole.usage?.prompt_tokens ?? -1);
  });

  test("gets a forced call, whole and streamed", async () => {
    const body = {
      ...chatOf("Weather in Oslo?", 80),
      tools: [TOOL],
      tool_choice: { type: "function" as const, function: { name: "get_weather" } },
    };
    const whole = await client.chat.completions.create(body);
    const streamed = await client.chat.completions.stream(body).finalChatCompletion();
    for (const answer of [whole, streamed]) {
      const choice = answer.choices[0];
      expect(choice?.finish_reason).toBe("tool_calls");
      const call = choice?.message.tool_calls?.[0];
      if (call?.type !== "function") throw new Error(`No function call in ${Bun.inspect(choice)}`);
      expect(call.function.name).toBe("get_weather");
      expect(["Oslo", "Lima"]).toContain(JSON.parse(call.function.arguments).city);
    }
  });

  test("gets an answer where tools may be called or not", async () => {
    const answer = await client.chat.completions.create({
      ...chatOf("Hello.", 8),
      tools: [TOOL],
      tool_choice: "auto",
    });
    expect(["stop", "length", "tool_calls"]).toContain(answer.choices[0]?.finish_reason ?? "");
  });

  test("parses an answer by a schema", async () => {
    const answer = await client.chat.completions.parse({
      ...chatOf("Weather as JSON.", 80),
      response_format: zodResponseFormat(Weather, "weather"),
    });
    expect(Weather.safeParse(answer.choices[0]?.message.parsed).success).toBe(true);
  });

  test("stops at a stop string", async () => {
    const answer = await client.chat.completions.create({
      ...chatOf("Tell me about the sea and the weather.", 60),
      stop: ["e"],
    });
    expect(answer.choices[0]?.finish_reason).toBe("stop");
    expect(answer.choices[0]?.message.content).not.toContain("e");
  });

  test("frees the slot of a stream that it aborts", async () => {
    const stream = await client.chat.completions.create({
      ...chatOf("Write a very long story.", 2_000),
      stream: true,
    });
    for await (const _ of stream) break;
    stream.controller.abort();
    await expectFreed(cluster);
  });
});

describe("responses of the OpenAI library", () => {
  test("come whole and streamed, with usage", async () => {
    const whole = await client.responses.create(responseOf("Write about the sea.", 16));
    expect(whole.status).toBe("incomplete");
    expect(whole.incomplete_details?.reason).toBe("max_output_tokens");
    expect(whole.output_text.length).toBeGreaterThan(0);
    expect(whole.usage?.output_tokens).toBe(16);
    const runner = client.responses.stream(responseOf("Write about the sea.", 16));
    let deltas = "";
    runner.on("response.output_text.delta", ({ delta }) => {
      deltas += delta;
    });
    const streamed = await runner.finalResponse();
    expect(streamed.output_text).toBe(deltas);
    expect(streamed.usage?.input_tokens).toBe(whole.usage?.input_tokens ?? -1);
  });

  test("hold a forced call", async () => {
    const answer = await client.responses.create({
      ...responseOf("Weather in Oslo?", 80),
      tools: [RESPONSES_TOOL],
      tool_choice: { type: "function", name: "get_weather" },
    });
    const call = answer.output.find((item) => item.type === "function_call");
    expect(call?.name).toBe("get_weather");
    expect(["Oslo", "Lima"]).toContain(JSON.parse(call?.arguments ?? "{}").city);
  });

  test("are parsed by a schema", async () => {
    const answer = await client.responses.parse({
      ...responseOf("Weather as JSON.", 80),
      text: { format: zodTextFormat(Weather, "weather") },
    });
    expect(Weather.safeParse(answer.output_parsed).success).toBe(true);
  });

  test("follow one another, are fetched and deleted", async () => {
    const first = await client.responses.create({ ...responseOf("Hello.", 16), store: true });
    const second = await client.responses.create({
      ...responseOf("Go on.", 16),
      previous_response_id: first.id,
    });
    expect(second.usage?.input_tokens).toBeGreaterThan(first.usage?.input_tokens ?? 0);
    expect((await client.responses.retrieve(first.id)).output_text).toBe(first.output_text);
    await client.responses.delete(first.id);
    expect(await thrownBy(client.responses.retrieve(first.id))).toBeInstanceOf(
      OpenAI.NotFoundError,
    );
  });

  test("free the slot of a stream that is aborted", async () => {
    const stream = await client.responses.create({
      ...responseOf("Write a very long story.", 2_000),
      stream: true,
    });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
    stream.controller.abort();
    await expectFreed(cluster);
  });
});

describe("errors of the OpenAI library", () => {
  test("are NotFoundError for an unknown model, in both dialects", async () => {
    const unknown = { ...chatOf("Hello.", 4), model: "no-such-model" };
    const chat = await thrownBy(client.chat.completions.create(unknown));
    expect(chat).toBeInstanceOf(OpenAI.NotFoundError);
    expect((chat as InstanceType<typeof OpenAI.NotFoundError>).code).toBe("model_not_found");
    expect((chat as InstanceType<typeof OpenAI.NotFoundError>).requestID).toMatch(/^req_/);
    const response = { ...responseOf("Hello.", 16), model: "no-such-model" };
    expect(await thrownBy(client.responses.create(response))).toBeInstanceOf(OpenAI.NotFoundError);
    const stream = client.chat.completions.create({ ...unknown, stream: true });
    expect(await thrownBy(stream)).toBeInstanceOf(OpenAI.NotFoundError);
  });

  test("are BadRequestError for a prompt above the context", async () => {
    const error = await thrownBy(client.chat.completions.create(chatOf("sea ".repeat(6_000), 4)));
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect((error as InstanceType<typeof OpenAI.BadRequestError>).code).toBe(
      "context_length_exceeded",
    );
  });

  test("say that the model makes no embeddings", async () => {
    const error = await thrownBy(client.embeddings.create({ model: MODEL, input: "Hello." }));
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect((error as Error).message).toContain("embeddings");
  });

  test("are RateLimitError when too many ask", async () => {
    const leave = new AbortController();
    const body = { ...chatOf("Write a very long story.", 2_000), stream: true as const };
    const asked = Array.from({ length: TOO_MANY }, () =>
      thrownBy(client.chat.completions.create(body, { signal: leave.signal })),
    );
    const refused = await Promise.any(
      asked.map(async (it) => {
        const thrown = await it;
        if (thrown === undefined) throw new Error("It was answered");
        return thrown;
      }),
    );
    leave.abort();
    await Promise.all(asked);
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    await expectFreed(cluster);
  });

  test("are APIUserAbortError when it leaves before the answer", async () => {
    const leave = new AbortController();
    const asked = thrownBy(
      client.chat.completions.create(chatOf("Write a very long story.", 2_000), {
        signal: leave.signal,
      }),
    );
    await waitUntilBusy(cluster);
    leave.abort();
    expect(await asked).toBeInstanceOf(OpenAI.APIUserAbortError);
    await expectFreed(cluster);
  });
});
