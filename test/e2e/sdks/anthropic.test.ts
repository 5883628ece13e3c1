import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import OldAnthropic from "anthropic-sdk-old";
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
let client: Anthropic;
let oldClient: OldAnthropic;

beforeAll(async () => {
  cluster = await startSdkCluster();
  const options = { baseURL: cluster.url, apiKey: "none", maxRetries: 0 };
  client = new Anthropic(options);
  oldClient = new OldAnthropic(options);
}, 60_000);

afterAll(() => cluster.stop());

// Without bounds of numbers, which this library checks itself and does not send.
const Weather = z.object({ city: z.enum(["Oslo", "Lima"]), rain: z.boolean() });
const TOOL = {
  name: "get_weather",
  description: "Weather of a city.",
  input_schema: {
    type: "object" as const,
    properties: { city: { type: "string", enum: ["Oslo", "Lima"] } },
    required: ["city"],
    additionalProperties: false,
  },
};
const cityOf = (input: unknown) => (input as { city?: unknown } | undefined)?.city;
const messagesOf = (content: string, max_tokens: number) => ({
  model: MODEL,
  messages: [{ role: "user" as const, content }],
  max_tokens,
});

describe("the Anthropic library", () => {
  test("gets a whole answer, and count_tokens says what its usage says", async () => {
    const body = messagesOf("Write about the sea.", 12);
    const message = await client.messages.create(body);
    expect(message.stop_reason).toBe("max_tokens");
    expect(message.usage.output_tokens).toBe(12);
    expect(message.content[0]?.type).toBe("text");
    expect(message._request_id).toMatch(/^req_/);
    const { max_tokens, ...counted } = body;
    const { input_tokens } = await client.messages.countTokens(counted);
    const { usage } = message;
    expect(input_tokens).toBe(
      usage.input_tokens +
        (usage.cache_read_input_tokens ?? 0) +
        (usage.cache_creation_input_tokens ?? 0),
    );
  });

  test("puts a stream together", async () => {
    const stream = client.messages.stream(messagesOf("Write about the sea.", 12));
    let text = "";
    stream.on("text", (delta) => {
      text += delta;
    });
    const message = await stream.finalMessage();
    expect(await stream.finalText()).toBe(text);
    expect(text.length).toBeGreaterThan(0);
    expect(message.usage.output_tokens).toBe(12);
    expect(message.stop_reason).toBe("max_tokens");
  });

  test("gets a forced call, whole and streamed", async () => {
    const body = {
      ...messagesOf("Weather in Oslo?", 80),
      tools: [TOOL],
      tool_choice: { type: "tool" as const, name: "get_weather" },
    };
    const whole = await client.messages.create(body);
    const streamed = await client.messages.stream(body).finalMessage();
    for (const message of [whole, streamed]) {
      expect(message.stop_reason).toBe("tool_use");
      const block = message.content.find((it) => it.type === "tool_use");
      expect(block?.name).toBe("get_weather");
      expect(cityOf(block?.input)).toBeOneOf(["Oslo", "Lima"]);
    }
  });

  test("gets an answer where tools may be called or not, and after a call's result", async () => {
    const first = await client.messages.create({
      ...messagesOf("Weather in Oslo?", 80),
      tools: [TOOL],
      tool_choice: { type: "any", disable_parallel_tool_use: true },
    });
    const call = first.content.find((it) => it.type === "tool_use");
    const second = await client.messages.create({
      ...messagesOf("", 8),
      messages: [
        { role: "user", content: "Weather in Oslo?" },
        { role: "assistant", content: first.content },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: call?.id ?? "", content: "Rain." }],
        },
      ],
      tools: [TOOL],
      tool_choice: { type: "auto" },
    });
    expect(["end_turn", "max_tokens", "tool_use"]).toContain(second.stop_reason ?? "");
  });

  test("parses an answer by a schema", async () => {
    const message = await client.messages.parse({
      ...messagesOf("Weather as JSON.", 80),
      output_config: { format: zodOutputFormat(Weather) },
    });
    expect(Weather.safeParse(message.parsed_output).success).toBe(true);
  });

  test("is told which stop sequence was hit, whole and streamed", async () => {
    const body = {
      ...messagesOf("Tell me about the sea and the weather.", 60),
      stop_sequences: ["@@@", "e"],
    };
    const whole = await client.messages.create(body);
    const streamed = await client.messages.stream(body).finalMessage();
    for (const message of [whole, streamed]) {
      expect([message.stop_reason, message.stop_sequence]).toEqual(["stop_sequence", "e"]);
      const text = message.content.map((it) => (it.type === "text" ? it.text : "")).join("");
      expect(text).not.toContain("e");
    }
  });

  test("may send its key as a bearer token", async () => {
    const bearer = new Anthropic({ baseURL: cluster.url, apiKey: null, authToken: "none" });
    const message = await bearer.messages.create(messagesOf("Hello.", 1));
    expect(message.usage.output_tokens).toBe(1);
  });

  test("lists the models and retrieves one", async () => {
    const ids: string[] = [];
    for await (const model of client.models.list({ limit: 100 })) ids.push(model.id);
    expect(ids.some((id) => id.startsWith(MODEL))).toBe(true);
    expect((await client.models.retrieve(MODEL)).type).toBe("model");
  });

  test("frees the slot of a stream that it aborts", async () => {
    const stream = client.messages.stream(messagesOf("Write a very long story.", 2_000));
    for await (const event of stream) if (event.type === "content_block_delta") break;
    stream.abort();
    await expectFreed(cluster);
  });
});

describe("errors of the Anthropic library", () => {
  test("are NotFoundError for an unknown model, whole, streamed and counted", async () => {
    const body = { ...messagesOf("Hello.", 4), model: "no-such-model" };
    const { max_tokens, ...counted } = body;
    for (const asked of [
      client.messages.create(body),
      client.messages.stream(body).finalMessage(),
      client.messages.countTokens(counted),
    ]) {
      const error = await thrownBy(asked);
      expect(error).toBeInstanceOf(Anthropic.NotFoundError);
      expect((error as InstanceType<typeof Anthropic.NotFoundError>).type).toBe("not_found_error");
    }
  });

  test("are BadRequestError for a prompt above the context, in the words that agents know", async () => {
    const error = await thrownBy(client.messages.create(messagesOf("sea ".repeat(6_000), 4)));
    expect(error).toBeInstanceOf(Anthropic.BadRequestError);
    expect((error as Error).message).toMatch(/prompt is too long: \d+ tokens > \d+ maximum/);
  });

  test("are RateLimitError when too many ask", async () => {
    const leave = new AbortController();
    const body = { ...messagesOf("Write a very long story.", 2_000), stream: true as const };
    const asked = Array.from({ length: TOO_MANY }, () =>
      thrownBy(client.messages.create(body, { signal: leave.signal })),
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
    expect(refused).toBeInstanceOf(Anthropic.RateLimitError);
    await expectFreed(cluster);
  });

  test("are APIUserAbortError when it leaves before the answer", async () => {
    const leave = new AbortController();
    const asked = thrownBy(
      client.messages.create(messagesOf("Write a very long story.", 2_000), {
        signal: leave.signal,
      }),
    );
    await waitUntilBusy(cluster);
    leave.abort();
    expect(await asked).toBeInstanceOf(Anthropic.APIUserAbortError);
    await expectFreed(cluster);
  });
});

describe("an old Anthropic library", () => {
  test("may send the sampling fields that newer ones do not have", async () => {
    const body = {
      ...messagesOf("Write about the sea.", 10),
      temperature: 1,
      top_p: 0.9,
      top_k: 40,
      metadata: { user_id: "somebody" },
    };
    const whole = await oldClient.messages.create(body);
    expect([whole.stop_reason, whole.usage.output_tokens]).toEqual(["max_tokens", 10]);
    const streamed = await oldClient.messages.stream(body).finalMessage();
    expect([streamed.stop_reason, streamed.usage.output_tokens]).toEqual(["max_tokens", 10]);
  });

  test("gets a forced call out of a stream", async () => {
    const message = await oldClient.messages
      .stream({
        ...messagesOf("Weather in Oslo?", 80),
        tools: [TOOL],
        tool_choice: { type: "any" },
      })
      .finalMessage();
    const block = message.content.find((it) => it.type === "tool_use");
    expect([message.stop_reason, block?.name]).toEqual(["tool_use", "get_weather"]);
    expect(cityOf(block?.input)).toBeOneOf(["Oslo", "Lima"]);
  });

  test("is told a stop sequence and its errors in its own classes", async () => {
    const message = await oldClient.messages.create({
      ...messagesOf("Tell me about the sea and the weather.", 60),
      stop_sequences: ["e"],
    });
    expect([message.stop_reason, message.stop_sequence]).toEqual(["stop_sequence", "e"]);
    const body = { ...messagesOf("Hello.", 4), model: "no-such-model" };
    const error = await thrownBy(oldClient.messages.create(body));
    expect(error).toBeInstanceOf(OldAnthropic.NotFoundError);
  });
});
