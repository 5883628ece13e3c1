import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { SKIP_REASON, TestDevice } from "./harness.ts";
import { assemble, expectValid, TOOLS, WEATHER } from "./tool-cases.ts";

const folder = process.env["CORTEX_TEST_MODELS"] ?? "";
const file = existsSync(folder)
  ? readdirSync(folder).find((name) => /^SmolLM2-135M-Instruct.*\.gguf$/i.test(name))
  : undefined;
/** The template of this model knows no tools, which is why it is the one to try. */
const reason =
  SKIP_REASON ?? (file === undefined ? "CORTEX_TEST_MODELS has no SmolLM2" : undefined);
if (reason !== undefined && process.env["CI"]) throw new Error(reason);

const CALLS = 50;

describe.skipIf(reason !== undefined)("calls of a real model without tools in its template", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("real-calls");
    await device.load("s", join(folder, file ?? ""), { slots: 4, context: 2048 });
  });

  afterAll(async () => {
    await device.close();
  });

  test("are valid and named right, fifty times at temperature 1, whole and streamed", async () => {
    const body = {
      messages: [{ role: "user", content: "How is the weather in Berlin for three days?" }],
      tools: TOOLS,
      tool_choice: { type: "function", function: { name: "get_weather" } },
      ...{ temperature: 1, max_tokens: 120 },
    };
    const runs = Array.from({ length: CALLS }, async (_, index) => {
      const stream = index % 2 === 1;
      const answer = await device.chat("s", { ...body, seed: 1000 + index, stream }).done;
      if (stream) {
        const { calls, content, reason: why } = assemble(answer);
        return { calls, content, why };
      }
      const [choice] = answer.result.choices;
      const { tool_calls: calls, content } = choice.message;
      return { calls, content, why: choice.finish_reason };
    });
    for (const { calls, content, why } of await Promise.all(runs)) {
      expect([content, why, calls.length]).toEqual([null, "tool_calls", 1]);
      expect(calls[0].function.name).toBe("get_weather");
      expectValid(calls[0]);
    }
  }, 240_000);

  test("come by the model's own choice, and their tag is never text", async () => {
    const turn = (city: string) => [
      { role: "user", content: `What is the weather in ${city}?` },
      {
        role: "assistant",
        content: "Let me look.",
        tool_calls: [
          {
            ...{ id: city, type: "function" },
            function: { name: "get_weather", arguments: JSON.stringify({ city }) },
          },
        ],
      },
      { role: "tool", tool_call_id: city, content: `Sunny in ${city}` },
      { role: "assistant", content: `It is sunny in ${city}.` },
    ];
    const body = {
      messages: [
        ...["Paris", "Berlin", "Paris"].flatMap(turn),
        { role: "user", content: "What is the weather in Berlin?" },
      ],
      ...{ tools: [WEATHER], temperature: 0, max_tokens: 100 },
    };
    const [choice] = (await device.chat("s", body).done).result.choices;
    expect(choice.finish_reason).toBe("tool_calls");
    expect(choice.message.content).toBe("Let me look.");
    expectValid(choice.message.tool_calls[0]);
    const streamed = await device.chat("s", { ...body, stream: true }).done;
    const { calls, content } = assemble(streamed);
    expect(content).toBe("Let me look.");
    expect(calls.map((call) => call.function)).toEqual([choice.message.tool_calls[0].function]);
    expect(JSON.stringify(streamed.chunks)).not.toContain("<tool_call");
  }, 120_000);
});
