import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NativeError } from "../../cuda/engine.ts";
import { looseEvents, SKIP_REASON, TestDevice, textOf, tinyModel } from "./harness.ts";

describe.skipIf(SKIP_REASON !== undefined)("the engine, serving", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("serving");
    await device.load("a", await tinyModel("a"), { slots: 4, context: 512 });
    await device.load("b", await tinyModel("b", { seed: 2 }), { slots: 4, context: 512 });
  });

  afterAll(async () => {
    await device.close();
  });

  test("discovery names the CPU, its cores and memory that is really free", () => {
    const found = device.engine.discover();
    const cpu = found.devices.find((one) => one.kind === "cpu");
    expect(found.backends).toContain("CPU");
    expect(cpu?.cores).toBeGreaterThan(0);
    expect(cpu?.memory_free_bytes).toBeGreaterThan(0);
    expect(cpu?.memory_free_bytes).toBeLessThan(cpu?.memory_total_bytes ?? 0);
  });

  test("a streamed chat sends the role with the first token, then text, then the reason", async () => {
    const answer = await device.chat("a", { stream: true }).done;
    expect(answer.last.kind).toBe("end");
    const [first, second] = answer.chunks;
    expect(first.object).toBe("chat.completion.chunk");
    expect(first.model).toBe("a");
    expect(first.choices[0].delta).toEqual({ role: "assistant", content: "" });
    expect(second.choices[0].delta.content.length).toBeGreaterThan(0);
    expect(second.id).toBe(first.id);
    expect(answer.chunks.at(-1).choices[0]).toEqual({
      index: 0,
      delta: {},
      finish_reason: "length",
      stop_reason: null,
    });
    expect(Object.keys(second).sort()).toEqual(["choices", "created", "id", "model", "object"]);
  });

  test("a whole chat has the text of the streamed one and exact usage", async () => {
    const streamed = await device.chat("a", {
      stream: true,
      stream_options: { include_usage: true },
    }).done;
    const whole = await device.chat("a").done;
    expect(whole.last.kind).toBe("result");
    expect(whole.result.choices[0].message.content).toBe(textOf(streamed));
    expect(whole.result.timings).toBeUndefined();

    const counted = await device.submit("count_tokens", "a", {
      messages: [{ role: "user", content: "Say something." }],
    }).done;
    const { usage } = whole.result;
    expect(usage.prompt_tokens).toBe(counted.result.input_tokens);
    expect(usage.completion_tokens).toBe(8);
    expect(usage.total_tokens).toBe(usage.prompt_tokens + 8);
    expect(usage.prompt_tokens_details.cached_tokens).toBe(usage.prompt_tokens - 1);
    expect(whole.result.cortex.usage).toEqual(usage);

    const last = streamed.chunks.at(-1);
    expect(last.choices).toEqual([]);
    expect(last.usage.completion_tokens).toBe(8);
    expect(streamed.result.usage).toEqual(last.usage);
    expect(streamed.result.finish_reason).toBe("length");
    expect(streamed.result.stop_sequence).toBeNull();
    expect(streamed.result.prefill_ms).toBeGreaterThan(0);
  });

  test("a stop sequence ends the answer and is named", async () => {
    const text = (await device.chat("a")).done.then((answer) => answer.result);
    const whole: string = (await text).choices[0].message.content;
    const stop = whole.slice(2, 4);
    const answer = await device.chat("a", { stop: [stop] }).done;
    expect(answer.result.choices[0].finish_reason).toBe("stop");
    expect(answer.result.cortex.stop_sequence).toBe(stop);
    expect(answer.result.choices[0].message.content).not.toContain(stop);
  });

  test("two answers of one prompt count it once", async () => {
    const answer = await device.submit("completion", "a", {
      prompt: "once upon a time",
      n: 2,
      max_tokens: 4,
      temperature: 0,
    }).done;
    expect(answer.result.object).toBe("text_completion");
    expect(answer.result.choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1]);
    expect(answer.result.usage.completion_tokens).toBe(8);
    const one = await device.submit("tokenize", "a", { content: "once upon a time" }).done;
    expect(answer.result.usage.prompt_tokens).toBe(one.result.tokens.length);
  });

  test("a streamed completion carries text and ends with its figures", async () => {
    const body = { prompt: "once", stream: true, max_tokens: 5, temperature: 0 };
    const answer = await device.submit("completion", "a", body).done;
    expect(answer.chunks[0].object).toBe("text_completion");
    expect(textOf(answer).length).toBeGreaterThan(0);
    expect(answer.chunks.at(-1).choices[0].finish_reason).toBe("length");
    expect(answer.result.usage.completion_tokens).toBe(5);
  });

  test("logprobs come with the text", async () => {
    const answer = await device.chat("a", { logprobs: true, top_logprobs: 2 }).done;
    const tokens = answer.result.choices[0].logprobs.content;
    expect(tokens).toHaveLength(8);
    expect(tokens[0].top_logprobs).toHaveLength(2);
  });

  test("two models on one device thread stream at the same time", async () => {
    const order: string[] = [];
    const runs = ["a", "b"].map(async (model) => {
      const running = device.chat(model, { stream: true, max_tokens: 200, ignore_eos: true });
      await running.until((event) => event.kind === "chunk");
      order.push(`${model} begins`);
      const answer = await running.done;
      order.push(`${model} ends`);
      return answer;
    });
    const answers = await Promise.all(runs);
    expect(answers.map((answer) => answer.result.usage.completion_tokens)).toEqual([200, 200]);
    expect(order.slice(0, 2).toSorted()).toEqual(["a begins", "b begins"]);
  });

  test("a model with four times the weight gets more of the device", async () => {
    const path = await tinyModel("fair", { seed: 4 });
    await device.load("light", path, { slots: 1, context: 2048, weight: 1 });
    await device.load("heavy", path, { slots: 1, context: 2048, weight: 4 });
    const endless = { stream: true, max_tokens: 1900, ignore_eos: true };
    const light = device.chat("light", endless);
    const heavy = device.chat("heavy", endless);
    await heavy.done;
    const lightTokens = device.modelFigures("light").completion_tokens;
    expect(lightTokens).toBeLessThan(1300);
    await light.done;
    await device.job({ op: "unload", model: "light" });
    await device.job({ op: "unload", model: "heavy" });
  });

  test("sixteen requests at once all end, over four slots", async () => {
    const runs = Array.from({ length: 16 }, (_, index) =>
      device.chat("a", {
        stream: true,
        max_tokens: 16,
        ignore_eos: true,
        messages: [{ role: "user", content: `Request number ${index}.` }],
      }),
    );
    const answers = await Promise.all(runs.map((running) => running.done));
    expect(answers.map((answer) => answer.result.usage.completion_tokens)).toEqual(
      Array.from({ length: 16 }, () => 16),
    );
    const figures = device.modelFigures("a");
    expect(figures.slots).toBe(4);
    expect(figures.in_flight).toBe(0);
    expect(figures.completion_tokens).toBeGreaterThan(16 * 16);
  });

  test("a prompt longer than the context is refused with both lengths", async () => {
    const content = "word ".repeat(2000);
    const answer = await device.chat("a", { messages: [{ role: "user", content }] }).done;
    expect(answer.last.status).toBe("context");
    expect(answer.result.prompt_tokens).toBeGreaterThan(2000);
    expect(answer.result.context_tokens).toBe(512);
  });

  test("an answer that meets the end of the context says so", async () => {
    const answer = await device.chat("a", { max_tokens: 5000, ignore_eos: true }).done;
    expect(answer.result.choices[0].finish_reason).toBe("length");
    expect(answer.result.cortex.truncated).toBe(true);
  });

  test("embeddings and reranking are refused by a model that was not loaded for them", async () => {
    const embedded = await device.submit("embeddings", "a", { input: "text" }).done;
    expect(embedded.last.status).toBe("unsupported");
    const ranked = await device.submit("rerank", "a", { query: "q", documents: ["d"] }).done;
    expect(ranked.last.status).toBe("unsupported");
  });

  test("a grammar holds the answer to its form, and one that does not parse is the client's fault", async () => {
    const held = await device.chat("a", { grammar: 'root ::= "yes" | "no"' }).done;
    expect(["yes", "no"]).toContain(held.result.choices[0].message.content);
    const broken = await device.chat("a", { grammar: "root ::= (((" }).done;
    expect(broken.last.status).toBe("argument");
    expect(broken.result.message).toContain("grammar");
  });

  test("a schema gives JSON", async () => {
    const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] };
    const answer = await device.chat("a", {
      max_tokens: 64,
      response_format: { type: "json_schema", json_schema: { name: "s", schema } },
    }).done;
    const value = JSON.parse(answer.result.choices[0].message.content);
    expect(typeof value.ok).toBe("boolean");
  });

  test("bad bodies are the client's fault and leave the model unharmed", async () => {
    for (const body of ["{", "[]", '{"messages": 3}', "{}"]) {
      const answer = await device.submit("chat", "a", body).done;
      expect(answer.last.status).toBe("argument");
    }
    const remote = { type: "image_url", image_url: { url: "http://127.0.0.1/x.png" } };
    const answer = await device.chat("a", { messages: [{ role: "user", content: [remote] }] }).done;
    expect(answer.last.status).toBe("argument");
    expect((await device.chat("a").done).last.kind).toBe("result");
    expect(device.modelFigures("a").state).toBe("ready");
  });

  test("a template that throws fails one request and leaves a warning, not a poisoned model", async () => {
    const template =
      "{% for m in messages %}{% if 'trap' in m['content'] %}" +
      "{{ raise_exception('the template refuses') }}{% endif %}{{ m['content'] }}{% endfor %}";
    const path = await tinyModel("thrower", { seed: 3 });
    const loaded = await device.job({
      op: "load",
      model: "thrower",
      path,
      slots: 1,
      threads: 1,
      chat_template: template,
    });
    expect(loaded.last.kind).toBe("result");
    const messages = [{ role: "user", content: "a trap" }];
    const answer = await device.chat("thrower", { messages }).done;
    expect(answer.last.status).toBe("argument");
    expect(answer.result.message).toContain("the template refuses");
    expect((await device.chat("thrower").done).last.kind).toBe("result");
    expect(device.modelFigures("thrower").state).toBe("ready");
    const warnings = looseEvents("log").filter((log) => log["level"] === "warn");
    expect(
      warnings.some((log) => /panicked.*model NOT marked poisoned/.test(String(log["text"]))),
    ).toBe(true);
    await device.job({ op: "unload", model: "thrower" });
  });

  test("unknown models, ids in use and unknown kinds are refused in the call itself", async () => {
    expect(() => device.chat("nobody")).toThrow(NativeError);
    const running = device.chat("a", { stream: true, max_tokens: 400, ignore_eos: true });
    const what = { kind: "chat", model: "a", body: "{}" } as const;
    expect(() => device.engine.submit(device.handle, running.id, what)).toThrow("in use");
    device.cancel(running.id);
    await running.done;
  });

  test("invalid UTF-8 in a body becomes an error or text, never a crash", async () => {
    const body = new Uint8Array([
      ...new TextEncoder().encode('{"prompt":"'),
      0xff,
      0xfe,
      0x22,
      0x7d,
    ]);
    const running = device.submit("completion", "a", "{}");
    await running.done;
    const id = 1_000_000_007;
    device.engine.submit(device.handle, id, { kind: "completion", model: "a", body });
    expect((await device.chat("a").done).last.kind).toBe("result");
  });
});
