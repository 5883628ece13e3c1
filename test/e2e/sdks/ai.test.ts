import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  generateObject,
  generateText,
  type LanguageModel,
  streamText,
  tool,
} from "ai";
import { z } from "zod";
import type { Cluster } from "../processes.ts";
import { expectFreed, MODEL, startSdkCluster, thrownBy } from "./sdk-cluster.ts";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startSdkCluster();
}, 60_000);

afterAll(() => cluster.stop());

const Weather = z.object({ city: z.enum(["Oslo", "Lima"]), days: z.number().int().min(1).max(9) });
const TOOLS = {
  get_weather: tool({
    description: "Weather of a city.",
    inputSchema: z.object({ city: z.enum(["Oslo", "Lima"]) }),
    execute: () => "Rain.",
  }),
};

/** Each provider with the dialect that it speaks; made late, when the address is known. */
const PROVIDERS: Readonly<Record<string, (model: string) => LanguageModel>> = {
  "openai, responses": (model) =>
    createOpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none" }).responses(model),
  "openai, chat": (model) =>
    createOpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none" }).chat(model),
  anthropic: (model) =>
    createAnthropic({ baseURL: `${cluster.url}/v1`, apiKey: "none" }).languageModel(model),
  "openai-compatible": (model) =>
    createOpenAICompatible({
      name: "cortex",
      baseURL: `${cluster.url}/v1`,
      includeUsage: true,
      supportsStructuredOutputs: true,
    }).chatModel(model),
};

for (const [name, provider] of Object.entries(PROVIDERS)) {
  const ask = (prompt: string, maxOutputTokens: number) => ({
    model: provider(MODEL),
    prompt,
    maxOutputTokens,
    temperature: 0,
    maxRetries: 0,
  });

  describe(`the AI SDK with ${name}`, () => {
    test("gets a whole answer with usage", async () => {
      const { text, finishReason, usage } = await generateText(ask("Write about the sea.", 16));
      expect(text.length).toBeGreaterThan(0);
      expect(finishReason).toBe("length");
      expect(usage.outputTokens).toBe(16);
      expect(usage.inputTokens).toBeGreaterThan(5);
    });

    test("streams an answer with usage", async () => {
      const result = streamText({ ...ask("Write about the sea.", 16), onError: () => undefined });
      let text = "";
      for await (const delta of result.textStream) text += delta;
      expect(text.length).toBeGreaterThan(0);
      expect(await result.finishReason).toBe("length");
      expect((await result.usage).outputTokens).toBe(16);
    });

    test("gets a forced call, whole and streamed", async () => {
      const request = {
        ...ask("Weather in Oslo?", 80),
        tools: TOOLS,
        toolChoice: { type: "tool" as const, toolName: "get_weather" as const },
      };
      const whole = await generateText(request);
      const streamed = streamText({ ...request, onError: () => undefined });
      await streamed.consumeStream();
      const answers = [
        { calls: whole.toolCalls, finishReason: whole.finishReason },
        { calls: await streamed.toolCalls, finishReason: await streamed.finishReason },
      ];
      for (const { calls, finishReason } of answers) {
        expect(finishReason).toBe("tool-calls");
        expect(calls[0]?.toolName).toBe("get_weather");
        const input: unknown = calls[0]?.input;
        expect((input as { city?: unknown } | undefined)?.city).toBeOneOf(["Oslo", "Lima"]);
      }
    });

    test("gets an answer where tools may be called or not", async () => {
      const { finishReason } = await generateText({
        ...ask("Hello.", 16),
        tools: TOOLS,
        toolChoice: "auto",
      });
      expect(["stop", "length", "tool-calls"]).toContain(finishReason);
    });

    test("generates an object by a schema", async () => {
      const { object } = await generateObject({ ...ask("Weather as JSON.", 100), schema: Weather });
      expect(Weather.safeParse(object).success).toBe(true);
    });

    test("is told of an unknown model as an APICallError of status 404", async () => {
      const error = await thrownBy(
        generateText({ ...ask("Hello.", 16), model: provider("no-such-model") }),
      );
      expect(APICallError.isInstance(error)).toBe(true);
      expect((error as APICallError).statusCode).toBe(404);
      expect((error as APICallError).message).toContain("no-such-model");
    });

    test("frees the slot of a stream that it aborts", async () => {
      const leave = new AbortController();
      const result = streamText({
        ...ask("Write a very long story.", 2_000),
        abortSignal: leave.signal,
        onError: () => undefined,
      });
      let deltas = 0;
      for await (const _ of result.textStream) {
        deltas += 1;
        break;
      }
      expect(deltas).toBe(1);
      leave.abort();
      await expectFreed(cluster);
    });

    // Responses know no stop strings.
    if (name !== "openai, responses") {
      test("stops at a stop sequence", async () => {
        const { text, finishReason } = await generateText({
          ...ask("Tell me about the sea and the weather.", 60),
          stopSequences: ["e"],
        });
        expect(finishReason).toBe("stop");
        expect(text).not.toContain("e");
      });
    }
  });
}
