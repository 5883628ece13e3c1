import { describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OldAnthropic from "anthropic-sdk-old";
import OpenAI from "openai";
import { fakeApi, fakeNeuron, gatewayOver } from "../fixture.ts";

/** A gateway over a neuron whose model takes a second to load, so that streams begin with keep-alives. */
async function slowGateway() {
  const neuron = fakeNeuron().addModel("m");
  neuron.holdLoads = true;
  const gateway = await gatewayOver([neuron], { limits: { keepalive_seconds: 1 } });
  return { neuron, gateway };
}

describe("the makers' own clients", () => {
  test("page through the models", async () => {
    const neuron = fakeNeuron();
    for (const id of ["a", "b", "c", "d", "e"]) neuron.addModel(id);
    const { url } = await gatewayOver([neuron]);
    const anthropic = new Anthropic({ baseURL: url, apiKey: "unused" });
    const seen: string[] = [];
    for await (const model of anthropic.models.list({ limit: 2 })) seen.push(model.id);
    expect(seen).toEqual(["a", "b", "c", "d", "e"]);
    expect((await anthropic.models.retrieve("a")).type).toBe("model");
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
    const listed = await openai.models.list();
    expect(listed.data.map(({ id }) => id)).toEqual(seen);
    expect((await openai.models.retrieve("a")).object).toBe("model");
  });

  for (const Client of [Anthropic, OldAnthropic]) {
    test(`of messages take pings and comments before the first event of a stream: ${Client.name}`, async () => {
      const ask = { max_tokens: 16, messages: [{ role: "user" as const, content: "Hi" }] };
      const { neuron, gateway } = await slowGateway();
      const seen = Promise.withResolvers<string>();
      const client = new Client({
        baseURL: gateway.url,
        apiKey: "unused",
        fetch: async (...request: Parameters<typeof fetch>) => {
          const response = await fetch(...request);
          const [told, kept] = response.body?.tee() ?? [];
          seen.resolve(new Response(kept).text());
          return new Response(told, response);
        },
      });
      const message = client.messages.stream({ model: "m", ...ask });
      await message.withResponse();
      neuron.finishLoad("m");
      expect(await message.finalText()).toBe("Hello");
      expect(message.request_id).toMatch(/^req_/);
      const text = await seen.promise;
      expect(text).toStartWith("event: ping\n");
      expect(text).toContain("\n\n: loading m on a, 0 %\n\n");
    });
  }

  test("of responses take comments before the first event of a stream", async () => {
    const second = await slowGateway();
    const openai = new OpenAI({ baseURL: `${second.gateway.url}/v1`, apiKey: "unused" });
    const response = openai.responses.stream({ model: "m", input: "Hi" });
    // Headers come with the first keep-alive.
    await response.emitted("connect");
    second.neuron.finishLoad("m");
    expect((await response.finalResponse()).output_text).toBe("Hello");
  });

  test("tell errors apart, with the request's id", async () => {
    const api = fakeApi("openai", ["m"]);
    const { url } = await gatewayOver([], { apis: [{ api, name: "cloud" }] });
    const anthropic = new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "Hi" }];
    const asked = anthropic.messages.create({ model: "nope", max_tokens: 5, messages });
    const missing = await asked.catch((error: unknown) => error);
    expect(missing).toBeInstanceOf(Anthropic.NotFoundError);
    expect((missing as InstanceType<typeof Anthropic.APIError>).requestID).toMatch(/^req_/);
    api.answer = () => api.refuse(429, "rate_limit_error", "Slow down", { "retry-after": "7" });
    const limited = await anthropic.messages
      .create({ model: "m", max_tokens: 5, messages })
      .catch((error: unknown) => error);
    expect(limited).toBeInstanceOf(Anthropic.RateLimitError);
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
    const other = await openai.chat.completions
      .create({ model: "nope", messages })
      .catch((error: unknown) => error);
    expect(other).toBeInstanceOf(OpenAI.NotFoundError);
    expect((other as InstanceType<typeof OpenAI.APIError>).requestID).toMatch(/^req_/);
  });

  test("count tokens, and read and delete a stored response", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const { url } = await gatewayOver([neuron]);
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
    const made = await openai.responses.create({ model: "m", input: "Hi" });
    expect((await openai.responses.retrieve(made.id)).output_text).toBe("Hello");
    const items = await openai.responses.inputItems.list(made.id);
    expect(items.data).toHaveLength(1);
    await openai.responses.delete(made.id);
    const gone = await openai.responses.retrieve(made.id).catch((error: unknown) => error);
    expect(gone).toBeInstanceOf(OpenAI.NotFoundError);
    neuron.answer = () => Response.json({ input_tokens: 12 });
    const anthropic = new Anthropic({ baseURL: url, authToken: "unused", apiKey: null });
    const messages = [{ role: "user" as const, content: "Hi" }];
    const counted = await anthropic.messages.countTokens({ model: "m", messages });
    expect(counted.input_tokens).toBe(12);
  });
});
