import { describe, expect, test } from "bun:test";
import type { FakeNeuron } from "../../fakes/fake-neuron.ts";
import { fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";
import {
  ANSWER,
  answerCut,
  answerHeld,
  answerWhole,
  eventsOf,
  PROMPT_TOKENS,
  TOKENS,
  tokensIn,
} from "./going-on.ts";

const MESSAGES = [{ role: "user", content: "Tell me about the sea." }];
const EVENTS = TOKENS.length + 4;

interface Team {
  readonly first: FakeNeuron;
  readonly second: FakeNeuron;
  readonly gateway: TestGateway;
}

/** Two neurons, of which the first is asked first. */
async function team(options: { readonly resume?: boolean } = {}): Promise<Team> {
  const first = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
  const second = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 1 });
  answerWhole(second, "second");
  const profiles = [{ id: "m", resume: options.resume ?? true }];
  return { first, second, gateway: await gatewayOver([first, second], { profiles }) };
}

type Json = ReturnType<typeof JSON.parse>;

/** The data of a stream, but for its end mark. */
function dataOf(text: string): Json[] {
  const lines = text.split("\n").filter((line) => line.startsWith("data: {"));
  return lines.map((line) => JSON.parse(line.slice(6)));
}

function contentOf(text: string): string {
  return dataOf(text)
    .map(({ choices }) => choices?.[0]?.delta?.content ?? "")
    .join("");
}

async function ask(gateway: TestGateway, options: object): Promise<string> {
  const body = { messages: MESSAGES, stream: true, temperature: 0, ...options };
  return await (await gateway.chat("m", body)).text();
}

describe("an answer that breaks off", () => {
  for (const by of ["end", "error"] as const) {
    for (const temperature of [0, 1]) {
      test(`by ${by} goes on from another neuron as one, cut at every event, temperature ${temperature}`, async () => {
        for (let after = 0; after <= EVENTS - 2; after += 1) {
          const { first, second, gateway } = await team();
          answerCut(first, "first", { after, by });
          const text = await ask(gateway, { temperature, stream_options: { include_usage: true } });
          expect(contentOf(text)).toBe(ANSWER);
          const data = dataOf(text);
          const id = after < 2 ? "second" : "first";
          if (after === EVENTS - 2) {
            // All but the counts, which nobody knows any more.
            expect(data.at(-1)?.["error"]).toBeDefined();
            continue;
          }
          expect(new Set(data.map((chunk) => chunk["id"]))).toEqual(new Set([id]));
          expect(data.filter((chunk) => chunk["choices"][0]?.delta.role !== undefined).length).toBe(
            1,
          );
          expect(data.map((chunk) => chunk["choices"][0]?.finish_reason).filter(Boolean)).toEqual([
            "stop",
          ]);
          expect(data.at(-1)?.["usage"]).toEqual({
            prompt_tokens: PROMPT_TOKENS,
            completion_tokens: TOKENS.length,
            total_tokens: PROMPT_TOKENS + TOKENS.length,
          });
          expect(text).toEndWith("data: [DONE]\n\n");
          expect(text).not.toContain('"error"');
          expect(second.count("/v1/chat/completions")).toBe(1);
        }
      }, 30_000);
    }
  }

  test("with its end alone missing is whole for a client that wants no counts", async () => {
    const { first, second, gateway } = await team();
    answerCut(first, "first", { after: TOKENS.length + 2 });
    const text = await ask(gateway, {});
    expect(contentOf(text)).toBe(ANSWER);
    expect(text).toEndWith("data: [DONE]\n\n");
    expect(second.count("/v1/chat/completions")).toBe(0);
  });

  test("by the death of its neuron goes on, and the metrics say so", async () => {
    const { first, gateway } = await team();
    answerHeld(first, "first", 5);
    const response = await gateway.chat("m", { messages: MESSAGES, stream: true, temperature: 0 });
    const reader = response.body?.getReader();
    let text = "";
    const decoder = new TextDecoder();
    while (!text.includes(" wi")) text += decoder.decode((await reader?.read())?.value);
    await first.kill();
    for (;;) {
      const piece = await reader?.read();
      if (piece === undefined || piece.done) break;
      text += decoder.decode(piece.value);
    }
    expect(contentOf(text)).toBe(ANSWER);
    expect(await gateway.metrics()).toContain('cortex_failovers_total{phase="stream"} 1');
  });

  test("is taken up before its last word where nothing is left to chance, else at its end", async () => {
    for (const [temperature, given] of [
      [0, "The sea is"],
      [1, "The sea is wi"],
    ] as const) {
      const { first, second, gateway } = await team();
      answerCut(first, "first", { after: 5 });
      await ask(gateway, { temperature, max_tokens: 20 });
      const seen = second.requests.find(({ path }) => path === "/v1/chat/completions");
      expect(seen?.body).toMatchObject({
        messages: [...MESSAGES, { role: "assistant", content: given }],
        max_tokens: 20 - tokensIn(given).length,
      });
    }
  });

  test("keeps the client's own beginning of it, and its limit of tokens", async () => {
    const { first, gateway } = await team();
    answerCut(first, "first", { after: 4 });
    const begun = [...MESSAGES, { role: "assistant", content: "The sea" }];
    const text = await ask(gateway, { messages: begun, max_tokens: 6 });
    expect(contentOf(text)).toBe(TOKENS.slice(2, 8).join(""));
    expect(text).toContain('"finish_reason":"length"');
  });

  test("that another goes on with in other words is taken up at its end", async () => {
    const { first, second, gateway } = await team();
    answerCut(first, "first", { after: 5 });
    answerWhole(second, "second");
    const honest = second.answer;
    second.answer = (request) => {
      const content = (request.body as { messages?: { content: string }[] }).messages?.at(
        -1,
      )?.content;
      if (content !== "The sea is") return honest(request);
      return new Response(eventsOf(request, "second").join("").replace(" wi", " lo"), {
        headers: { "content-type": "text/event-stream" },
      });
    };
    expect(contentOf(await ask(gateway, {}))).toBe(ANSWER);
    expect(second.count("/v1/chat/completions")).toBe(2);
  });

  test("goes on twice, not three times", async () => {
    const neurons = [0, 1, 2, 3].map((index) =>
      fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 10 ** (4 - index) }),
    );
    for (const [index, neuron] of neurons.entries()) answerCut(neuron, `n${index}`, { after: 4 });
    const gateway = await gatewayOver(neurons, { profiles: [{ id: "m", resume: true }] });
    const text = await ask(gateway, { temperature: 1 });
    expect(contentOf(text)).toBe(TOKENS.slice(0, 9).join(""));
    expect(dataOf(text).at(-1)?.["error"]).toMatchObject({ code: "neuron_failed" });
    expect(text).not.toContain("[DONE]");
  });

  const unfit = [
    ["has a profile that does not allow it", {}, false],
    ["is one of several", { n: 2 }, true],
    ["comes with probabilities", { logprobs: true }, true],
    ["has a form", { response_format: { type: "json_object" } }, true],
    ["must call a tool", { tools: [], tool_choice: "required" }, true],
    ["has reached its limit", { max_tokens: 4, temperature: 1 }, true],
  ] as const;
  for (const [why, options, resume] of unfit) {
    test(`ends with an error event when it ${why}`, async () => {
      const { first, second, gateway } = await team({ resume });
      answerCut(first, "first", { after: 5 });
      const text = await ask(gateway, options);
      expect(contentOf(text)).toBe("The sea is wi");
      expect(dataOf(text).at(-1)?.["error"]).toMatchObject({ code: "neuron_failed" });
      expect(text).not.toContain("[DONE]");
      expect(second.count("/v1/chat/completions")).toBe(0);
    });
  }

  test("within a tool call is not gone on with", async () => {
    const { first, second, gateway } = await team();
    const call = { index: 0, id: "c1", type: "function", function: { name: "f", arguments: "{" } };
    const delta = { role: "assistant", content: "Let me see", tool_calls: [call] };
    first.answer = () =>
      new Response(`data: ${JSON.stringify({ id: "x", choices: [{ index: 0, delta }] })}\n\n`, {
        headers: { "content-type": "text/event-stream" },
      });
    const text = await ask(gateway, {});
    expect(dataOf(text).at(-1)?.["error"]).toBeDefined();
    expect(second.count("/v1/chat/completions")).toBe(0);
  });

  test("is let go at once by a client that leaves before another goes on", async () => {
    const { first, second, gateway } = await team();
    answerCut(first, "first", { after: 5 });
    const asked = Promise.withResolvers<AbortSignal>();
    second.answer = (request) => {
      asked.resolve(request.signal);
      return new Promise<Response>(() => undefined);
    };
    const client = new AbortController();
    const body = { model: "m", messages: MESSAGES, stream: true, temperature: 1 };
    const response = await gateway.post("/v1/chat/completions", body, client.signal);
    response.text().catch(() => undefined);
    const signal = await asked.promise;
    const left = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    client.abort();
    await left;
    await gateway.until((status) => status.in_flight === 0);
  });

  test("goes on in Anthropic's events, cut at every event", async () => {
    for (let after = 0; after <= TOKENS.length + 2; after += 1) {
      const { first, gateway } = await team();
      answerCut(first, "first", { after });
      const body = { model: "m", max_tokens: 50, messages: MESSAGES, stream: true, temperature: 0 };
      const text = await (await gateway.post("/v1/messages", body)).text();
      const data = dataOf(text);
      expect(data.map(({ delta }) => delta?.text ?? "").join("")).toBe(ANSWER);
      const types = data.map(({ type }) => type).filter((type) => type !== "content_block_delta");
      expect(types).toEqual([
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
      ]);
      expect(data.at(-2)?.["delta"]).toMatchObject({ stop_reason: "end_turn" });
      if (after < TOKENS.length + 2) {
        expect(data.at(-2)?.["usage"].output_tokens).toBe(TOKENS.length);
      }
    }
  }, 30_000);

  test("goes on in the events of Responses, cut at every event, and is stored as one", async () => {
    for (let after = 0; after <= TOKENS.length + 2; after += 1) {
      const { first, gateway } = await team();
      answerCut(first, "first", { after });
      const body = { model: "m", input: "Tell me about the sea.", stream: true, temperature: 0 };
      const text = await (await gateway.post("/v1/responses", body)).text();
      const data = dataOf(text);
      const numbers = data.map((event) => event["sequence_number"]);
      expect(numbers).toEqual(numbers.map((_, index) => index));
      const { response } = data.at(-1);
      expect(data.at(-1)?.["type"]).toBe("response.completed");
      expect(response["output"][0].content[0].text).toBe(ANSWER);
      expect(response["id"]).toBe(data[0]?.["response"].id);
      const stored = await fetch(`${gateway.url}/v1/responses/${response["id"]}`);
      expect(await stored.json()).toMatchObject({
        status: "completed",
        output: response["output"],
      });
    }
  }, 30_000);
});
