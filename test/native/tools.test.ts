import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SKIP_REASON, TestDevice, textOf, tinyModel } from "./harness.ts";
import {
  assemble,
  type Call,
  expectValid,
  readTemplate,
  TIME,
  TOOLS,
  WEATHER,
  WILD_TOOLS,
} from "./tool-cases.ts";

/** Formats of each kind: JSON in tags, JSON alone, special tokens, XML, Python, channels, and none at all. */
const TEMPLATES = [
  "Qwen-Qwen3-0.6B",
  "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
  "meta-llama-Llama-3.1-8B-Instruct",
  "mistralai-Mistral-Nemo-Instruct-2407",
  "Mistral-Small-3.2-24B-Instruct-2506",
  "Qwen3-Coder",
  "LFM2.5-Instruct",
  "openai-gpt-oss-120b",
  "meetkai-functionary-medium-v3.2",
  "ibm-granite-granite-4.0",
  "google-gemma-2-2b-it",
  "microsoft-Phi-3.5-mini-instruct",
];

const named = (name: string) => ({ type: "function", function: { name } });
const ask = [{ role: "user", content: "What is the weather?" }];
const ok = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] };
const format = { type: "json_schema", json_schema: { name: "s", schema: ok } };
/** Random models would think for ever. */
const unthinking = { chat_template_kwargs: { enable_thinking: false }, temperature: 1 };
const history = [
  { role: "system", content: "Be kind." },
  ...ask,
  {
    role: "assistant",
    content: null,
    tool_calls: [
      { id: "call_1", function: { name: "get_weather", arguments: '{"city":"Paris"}' } },
      { id: "call_2", type: "function", function: { name: "get_time", arguments: '{"zone": ' } },
      { id: "call_3", type: "function", function: { name: "stop-all", arguments: "" } },
    ],
  },
  { role: "tool", tool_call_id: "call_1", content: "sunny" },
  { role: "tool", tool_call_id: "call_2", content: [{ type: "text", text: "noon" }] },
  { role: "tool", tool_call_id: "call_3", content: "" },
  { role: "user", content: "And tomorrow?" },
];

describe.skipIf(SKIP_REASON !== undefined)("calls of a random model", () => {
  let device: TestDevice;
  let path: string;

  beforeAll(async () => {
    device = await TestDevice.open("tools");
    path = await tinyModel("tools", { contextLength: 8192 });
  });

  afterAll(async () => {
    await device.close();
  });

  for (const name of TEMPLATES) {
    test(`with the template ${name} are what was asked for`, async () => {
      const chat_template = await readTemplate(name);
      await device.load(name, path, { context: 8192, chat_template });
      const run = (body: object) =>
        device.chat(name, { messages: ask, max_tokens: 300, tools: TOOLS, ...unthinking, ...body })
          .done;
      const settings = [
        { tool_choice: named("get_weather"), seed: 1 },
        { tool_choice: named("get_weather"), seed: 2, messages: history },
        { tool_choice: named("stop-all"), parallel_tool_calls: true },
        { tool_choice: "required", parallel_tool_calls: false, stop: ["{"], ignore_eos: true },
      ];
      for (const setting of settings) {
        const whole = await run(setting);
        expect(whole.result.message).toBeUndefined();
        const [choice] = whole.result.choices;
        expect(choice.finish_reason).toBe("tool_calls");
        expect(choice.message.content).toBeNull();
        expect(choice.message.reasoning_content).toBeUndefined();
        expect(choice.message.tool_calls).toHaveLength(1);
        const [call] = choice.message.tool_calls;
        expectValid(call);
        if (typeof setting.tool_choice === "object") {
          expect(call.function.name).toBe(setting.tool_choice.function.name);
        }
        const streamed = assemble(await run({ ...setting, stream: true }));
        expect(streamed.content).toBeNull();
        expect(streamed.reason).toBe("tool_calls");
        expect(streamed.calls.map((one) => one.function)).toEqual([call.function]);
        expect(streamed.calls[0]?.id).not.toBe(call.id);
      }

      const answer = (await run({ tools: undefined, response_format: format })).result;
      if (name !== "openai-gpt-oss-120b") {
        expect(answer.choices[0].finish_reason).toBe("stop");
        expect(Object.keys(JSON.parse(answer.choices[0].message.content))).toEqual(["ok"]);
      }
      const either = (await run({ response_format: format, parallel_tool_calls: false })).result;
      const { message, finish_reason } = either.choices[0];
      if (finish_reason === "tool_calls") expectValid(message.tool_calls[0]);
      else expect(Object.keys(JSON.parse(message.content))).toEqual(["ok"]);

      for (const tools of [TOOLS, undefined]) {
        const rendered = await device.submit("apply_template", name, { messages: history, tools })
          .done;
        // Nemo's template tells the system only beside a user message at the end.
        const system = name.includes("Nemo") ? [] : ["Be kind"];
        for (const text of [...system, "get_weather", "Paris", "sunny", "noon", "tomorrow"]) {
          expect(rendered.result.prompt).toContain(text);
        }
      }
      await device.job({ op: "unload", model: name });
    });
  }

  test("may be many, each with an index and an id of its own", async () => {
    await device.load("many", path, { context: 8192 });
    const body = { tools: [WEATHER], tool_choice: "required", parallel_tool_calls: true };
    let most: readonly Call[] = [];
    for (let seed = 1; most.length < 2 && seed < 30; seed++) {
      const answer = await device.chat("many", {
        ...body,
        ...{ seed, stream: true, max_tokens: 400, temperature: 1.5 },
      }).done;
      most = assemble(answer).calls;
    }
    expect(most.length).toBeGreaterThan(1);
    expect(new Set(most.map((call) => call.id)).size).toBe(most.length);
    await device.job({ op: "unload", model: "many" });
  });

  test("come after the reasoning, which is told apart, and take its schema after it as well", async () => {
    const chat_template = await readTemplate("deepseek-ai-DeepSeek-R1-Distill-Llama-8B");
    await device.load("thinker", path, { context: 8192, chat_template });
    const base = { max_tokens: 300, temperature: 1, reasoning_budget_tokens: 5 };
    const forced = { ...base, tools: TOOLS, tool_choice: named("get_weather") };
    const thought = (await device.chat("thinker", forced).done).result;
    const [whole] = thought.choices;
    expect(whole.message.reasoning_content.length).toBeGreaterThan(0);
    expect(whole.message.content).toBeNull();
    expectValid(whole.message.tool_calls[0]);
    // The fifth one may have joined the end of the reasoning.
    expect([4, 5, 6]).toContain(thought.usage.completion_tokens_details.reasoning_tokens);
    const streamed = assemble(await device.chat("thinker", { ...forced, stream: true }).done);
    expect(streamed.reasoning).toBe(whole.message.reasoning_content);
    expect(streamed.calls[0]?.function).toEqual(whole.message.tool_calls[0].function);

    const json = (await device.chat("thinker", { ...base, response_format: format }).done).result;
    expect(json.choices[0].message.reasoning_content.length).toBeGreaterThan(0);
    expect(Object.keys(JSON.parse(json.choices[0].message.content))).toEqual(["ok"]);

    for (const off of [
      { reasoning_effort: "none" },
      { chat_template_kwargs: { enable_thinking: false } },
    ]) {
      const answer = (await device.chat("thinker", { max_tokens: 8, ...off }).done).result;
      expect(answer.choices[0].message.reasoning_content).toBeUndefined();
      expect(answer.choices[0].message.content.length).toBeGreaterThan(0);
    }
    await device.job({ op: "unload", model: "thinker" });
  });

  test("take every schema that clients are known to send", async () => {
    for (const chat_template of [undefined, await readTemplate("Qwen-Qwen3-0.6B")]) {
      await device.load("wild", path, {
        context: 16384,
        ...(chat_template === undefined ? {} : { chat_template }),
      });
      for (const tool of WILD_TOOLS) {
        const body = {
          ...{ tools: WILD_TOOLS, tool_choice: named(tool.function.name), max_tokens: 1 },
          ...unthinking,
        };
        const answer = await device.chat("wild", body).done;
        expect(answer.result.message).toBeUndefined();
      }
      const auto = await device.chat("wild", { tools: WILD_TOOLS, max_tokens: 1 }).done;
      expect(auto.last.kind).toBe("result");
      await device.job({ op: "unload", model: "wild" });
    }
  });

  test("are cut by the length without ending in an error", async () => {
    await device.load("cut", path, { context: 8192 });
    for (const max_tokens of [1, 9, 12, 30, 45, 50]) {
      const body = { tools: TOOLS, tool_choice: named("get_weather"), max_tokens };
      const whole = (await device.chat("cut", body).done).result.choices[0];
      expect(whole.finish_reason).toBe("length");
      expect(whole.message.content).toBeNull();
      const streamed = assemble(await device.chat("cut", { ...body, stream: true }).done);
      expect(streamed.reason).toBe("length");
      expect(streamed.content).toBeNull();
      const calls = (whole.message.tool_calls ?? []) as Call[];
      expect(streamed.calls.map((call) => call.function)).toEqual(calls.map((one) => one.function));
    }
    await device.job({ op: "unload", model: "cut" });
  });

  test("that cannot be are the client's fault", async () => {
    await device.load("refusing", path, { context: 8192 });
    for (const [body, words] of [
      [{ tools: TOOLS, tool_choice: named("absent") }, ["absent", "tools"]],
      [{ tool_choice: "required" }, ["tools"]],
      [{ tools: [], tool_choice: named("f") }, ["tools"]],
      [{ tools: TOOLS, grammar: 'root ::= "a"' }, ["grammar", "tools"]],
      [{ tools: [{ type: "function" }] }, ["tools"]],
    ] as const) {
      const answer = await device.chat("refusing", body).done;
      expect(answer.last.status).toBe("argument");
      for (const word of words) expect(answer.result.message).toContain(word);
    }
    await device.job({ op: "unload", model: "refusing" });
  });

  test("that are not wanted leave no trace of the tools", async () => {
    await device.load("plain", path, { context: 8192 });
    const render = (body: object) =>
      device.submit("apply_template", "plain", { messages: ask, ...body }).done;
    const without = (await render({})).result.prompt;
    expect((await render({ tools: TOOLS, tool_choice: "none" })).result.prompt).toBe(without);
    expect((await render({ tools: [], tool_choice: "auto" })).result.prompt).toBe(without);
    expect((await render({ tools: TOOLS })).result.prompt).toContain("get_weather");
    const counted = await device.submit("count_tokens", "plain", { messages: ask, tools: TOOLS })
      .done;
    const used = await device.chat("plain", { messages: ask, tools: TOOLS, max_tokens: 1 }).done;
    expect(used.result.usage.prompt_tokens).toBe(counted.result.input_tokens);
    await device.job({ op: "unload", model: "plain" });
  });

  test("are text where nothing held the model to their format", async () => {
    // Llama's calls begin with a brace and no tag, so that any text in braces may be one.
    const chat_template = await readTemplate("meta-llama-Llama-3.1-8B-Instruct");
    await device.load("braces", path, { context: 8192, chat_template });
    const body = { tools: [TIME], max_tokens: 24, temperature: 0, logit_bias: { "{": 50 } };
    const whole = (await device.chat("braces", body).done).result.choices[0];
    expect(whole.message.content.length).toBeGreaterThan(20);
    expect(whole.message.tool_calls).toBeUndefined();
    const streamed = await device.chat("braces", { ...body, stream: true }).done;
    expect(textOf(streamed)).toBe(whole.message.content);
    await device.job({ op: "unload", model: "braces" });
  });

  test("a text completion keeps a response format, too", async () => {
    await device.load("text", path, { context: 2048 });
    for (const response_format of [format, { type: "json_object" }]) {
      const body = { prompt: "x", response_format, max_tokens: 400, temperature: 1, seed: 3 };
      const answer = (await device.submit("completion", "text", body).done).result.choices[0];
      expect(answer.text).toStartWith("{");
      if (answer.finish_reason === "stop") expect(typeof JSON.parse(answer.text)).toBe("object");
    }
    await device.job({ op: "unload", model: "text" });
  });
});
