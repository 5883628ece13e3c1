import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Answer, SKIP_REASON, TestDevice, textOf, tinyModel } from "./harness.ts";

/** Characters of one to four bytes, which the tiny model writes byte by byte. */
const CHARACTERS = 'root ::= ("a" | "é" | "€" | "😀")+';

interface Entry {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly Entry[];
}

const entriesOf = (answer: Answer): Entry[] =>
  answer.chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);

const bytesOf = (entries: readonly Entry[]) =>
  Buffer.from(entries.flatMap((entry) => [...entry.bytes])).toString();

describe.skipIf(SKIP_REASON !== undefined)("an answer", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("answers");
    await device.load("a", await tinyModel("answers"), { slots: 2, context: 1024 });
    const template =
      "{% for m in messages %}{% if m['role'] == 'assistant' and m['reasoning_content'] %}" +
      "<think>{{ m['reasoning_content'] }}</think>{% endif %}" +
      "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}";
    await device.load("thinker", await tinyModel("thinker", { seed: 5 }), {
      slots: 2,
      context: 512,
      chat_template: template,
    });
  });

  afterAll(async () => {
    await device.close();
  });

  describe("with stop strings", () => {
    const stopsOf = (text: string) => [
      text.slice(3, 5),
      text.slice(7, 12),
      "nowhere",
      text.slice(4, 9),
    ];

    for (const grammar of [undefined, CHARACTERS]) {
      test(`never shows a part of one, cut as it may be${grammar ? ", in any script" : ""}`, async () => {
        const body = { max_tokens: 48, ...(grammar === undefined ? {} : { grammar }) };
        const whole: string = (await device.chat("a", body).done).result.choices[0].message.content;
        const letters = [...whole];
        for (let from = 1; from < letters.length - 4; from += 3) {
          const stop = letters.slice(from, from + 4).join("");
          const expected = whole.slice(0, whole.indexOf(stop));
          const stopped = await device.chat("a", { ...body, stop: [stop, "nowhere"] }).done;
          expect(stopped.result.choices[0].message.content).toBe(expected);
          expect(stopped.result.choices[0].finish_reason).toBe("stop");
          expect(stopped.result.choices[0].stop_reason).toBe(stop);
          const streamed = await device.chat("a", { ...body, stop, stream: true }).done;
          expect(textOf(streamed)).toBe(expected);
          expect(streamed.chunks.at(-1).choices[0].finish_reason).toBe("stop");
          expect(streamed.chunks.at(-1).choices[0].stop_reason).toBe(stop);
          expect(streamed.result.stop_sequence).toBe(stop);
          expect(streamed.result.prefill_ms).toBeGreaterThan(0);
        }
      });
    }

    test("ends at the first one that is complete", async () => {
      const { result } = await device.chat("a", { max_tokens: 32 }).done;
      const whole: string = result.choices[0].message.content;
      const stopped = await device.chat("a", { max_tokens: 32, stop: stopsOf(whole) }).done;
      const [choice] = stopped.result.choices;
      expect(choice.stop_reason).toBe(whole.slice(3, 5));
      expect(choice.message.content).toBe(whole.slice(0, whole.indexOf(whole.slice(3, 5))));
    });

    test("that only begin at its end is whole", async () => {
      const whole: string = (await device.chat("a", { max_tokens: 16 }).done).result.choices[0]
        .message.content;
      const stop = `${whole.slice(-3)}never`;
      for (const stream of [true, false]) {
        const answer = await device.chat("a", { max_tokens: 16, stop, stream }).done;
        const text = stream ? textOf(answer) : answer.result.choices[0].message.content;
        expect(text).toBe(whole);
        const last = stream ? answer.chunks.at(-1) : answer.result;
        expect(last.choices[0]).toMatchObject({ finish_reason: "length", stop_reason: null });
      }
    });

    test("counts the tokens up to the stop and frees its slot", async () => {
      const whole = await device.chat("a", { max_tokens: 400, ignore_eos: true }).done;
      const stop = whole.result.choices[0].message.content.slice(20, 24);
      const answer = await device.chat("a", { max_tokens: 400, ignore_eos: true, stop }).done;
      const { usage } = answer.result;
      expect(usage.completion_tokens).toBeLessThan(30);
      expect(usage.completion_tokens).toBeGreaterThan(0);
      expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens);
      const next = device.chat("a", { max_tokens: 2 });
      expect((await next.done).last.kind).toBe("result");
    });

    test("is not stopped by one in its reasoning", async () => {
      // The grammar holds the answer to reasoning that has the stop string, and to content that has it, too.
      const grammar = 'root ::= "one stop two</think>three stop four"';
      const body = { max_tokens: 60, grammar, reasoning_format: "deepseek" };
      const unstopped = await device.chat("thinker", body).done;
      const message = unstopped.result.choices[0].message;
      expect(message.reasoning_content).toContain("one stop two");
      for (const stream of [true, false]) {
        const answer = await device.chat("thinker", { ...body, stop: ["stop"], stream }).done;
        const deltas = answer.chunks.map((chunk) => chunk.choices[0]?.delta ?? {});
        const shown = stream
          ? {
              reasoning_content: deltas.map((delta) => delta.reasoning_content ?? "").join(""),
              content: deltas.map((delta) => delta.content ?? "").join(""),
            }
          : answer.result.choices[0].message;
        expect(shown.reasoning_content).toContain("one stop two");
        expect(shown.content).toBe("three ");
      }
    });

    test("of a text completion are found and named, too", async () => {
      const body = { prompt: "once", max_tokens: 24, temperature: 0 };
      const whole: string = (await device.submit("completion", "a", body).done).result.choices[0]
        .text;
      const stop = whole.slice(6, 9);
      const answer = await device.submit("completion", "a", { ...body, stop: [stop] }).done;
      expect(answer.result.choices[0]).toMatchObject({
        text: whole.slice(0, whole.indexOf(stop)),
        finish_reason: "stop",
        stop_reason: stop,
      });
    });
  });

  describe("with probabilities", () => {
    for (const stream of [true, false]) {
      test(`has one for each token, ${stream ? "streamed" : "whole"}, also within characters`, async () => {
        const answer = await device.chat("a", {
          ...{ stream, max_tokens: 30, grammar: CHARACTERS, ignore_eos: true },
          ...{ logprobs: true, top_logprobs: 3, stream_options: { include_usage: true } },
        }).done;
        const [choice] = stream ? [] : answer.result.choices;
        const entries: Entry[] = stream ? entriesOf(answer) : choice.logprobs.content;
        expect(entries).toHaveLength(30);
        for (const entry of entries) {
          expect(entry.logprob).toBeLessThanOrEqual(0);
          expect(entry.top_logprobs).toHaveLength(3);
          expect(entry.top_logprobs[0]?.bytes).toBeArray();
        }
        const text = stream ? textOf(answer) : choice.message.content;
        expect(bytesOf(entries)).toStartWith(text);
        expect(text).not.toContain("\uFFFD");
        const { usage } = stream ? answer.chunks.at(-1) : answer.result;
        expect(usage.completion_tokens).toBe(30);
      });
    }

    test("without the most likely ones has the token's own alone", async () => {
      const answer = await device.chat("a", { logprobs: true }).done;
      const entries: Entry[] = answer.result.choices[0].logprobs.content;
      expect(entries).toHaveLength(8);
      expect(entries[0]?.top_logprobs).toEqual([]);
    });

    test("says nothing of tokens behind a stop string", async () => {
      const body = { max_tokens: 30, ignore_eos: true, logprobs: true };
      const whole = await device.chat("a", body).done;
      const text: string = whole.result.choices[0].message.content;
      const stop = text.slice(9, 13);
      for (const stream of [true, false]) {
        const answer = await device.chat("a", { ...body, stop, stream }).done;
        const entries = stream ? entriesOf(answer) : answer.result.choices[0].logprobs.content;
        const kept = text.slice(0, text.indexOf(stop));
        expect(bytesOf(entries)).toStartWith(kept);
        expect(bytesOf(entries.slice(0, -1)).length).toBeLessThan(kept.length + 1);
      }
    });

    for (const stream of [true, false]) {
      test(`of a text completion has OpenAI's older shape, ${stream ? "streamed" : "whole"}`, async () => {
        const body = { prompt: "once", max_tokens: 12, logprobs: 2, ignore_eos: true, stream };
        const answer = await device.submit("completion", "a", body).done;
        const parts = stream
          ? answer.chunks.map((chunk) => chunk.choices[0].logprobs).filter(Boolean)
          : [answer.result.choices[0].logprobs];
        const tokens: string[] = parts.flatMap((part) => part.tokens);
        expect(tokens).toHaveLength(12);
        expect(parts.flatMap((part) => part.token_logprobs)).toHaveLength(12);
        const tops = parts.flatMap((part) => part.top_logprobs);
        for (const top of tops) expect(Object.keys(top).length).toBeLessThanOrEqual(2);
        let offset = 0;
        const offsets = parts.flatMap((part) => part.text_offset);
        for (const [index, token] of tokens.entries()) {
          expect(offsets[index]).toBe(offset);
          offset += token.length;
        }
        const text = stream ? textOf(answer) : answer.result.choices[0].text;
        expect(tokens.join("")).toBe(text);
      });
    }
  });

  describe("of several", () => {
    for (const n of [2, 5]) {
      test(`${n} on two slots: each its own, all again from the same seed`, async () => {
        const body = { n, max_tokens: 12, temperature: 1, seed: 7, ignore_eos: true };
        const texts = async () => {
          const { result } = await device.chat("a", body).done;
          expect(result.usage.completion_tokens).toBe(12 * n);
          const choices: { index: number; message: { content: string } }[] = result.choices;
          expect(choices.map((choice) => choice.index)).toEqual([...Array(n).keys()]);
          return choices.map((choice) => choice.message.content);
        };
        const first = await texts();
        expect(new Set(first).size).toBe(n);
        expect(await texts()).toEqual(first);

        const streamed = await device.chat("a", { ...body, stream: true }).done;
        const byIndex = Array<string>(n).fill("");
        for (const { choices } of streamed.chunks) {
          byIndex[choices[0].index] += choices[0].delta.content ?? "";
        }
        expect(byIndex).toEqual(first);
        expect(streamed.result.usage.prompt_tokens).toBeLessThan(60);
      });
    }

    test("of which a stop string ends one, leaves the others whole", async () => {
      const body = { n: 2, max_tokens: 24, temperature: 1, seed: 3, ignore_eos: true };
      const whole = (await device.chat("a", body).done).result.choices;
      const stop = whole[0].message.content.slice(4, 12);
      const { result } = await device.chat("a", { ...body, stop }).done;
      expect(result.choices[0]).toMatchObject({ finish_reason: "stop", stop_reason: stop });
      expect(result.choices[1]).toMatchObject({ finish_reason: "length", stop_reason: null });
      expect(result.choices[1].message.content).toBe(whole[1].message.content);
    });
  });

  test("at temperature 1 is the same for the same seed and another for another", async () => {
    const text = async (seed: number) =>
      (await device.chat("a", { seed, temperature: 1, max_tokens: 16 }).done).result.choices[0]
        .message.content;
    const first = await text(11);
    expect(await text(11)).toBe(first);
    expect(await text(12)).not.toBe(first);
  });

  test("tells the prompt's counts in the first chunk when they are asked for", async () => {
    const stream_options = { prompt_usage: true, include_usage: true };
    const answer = await device.chat("a", { stream: true, stream_options }).done;
    const [first, ...rest] = answer.chunks;
    const last = rest.at(-1);
    expect(first.choices[0].delta).toEqual({ role: "assistant", content: "" });
    expect(first.usage.prompt_tokens).toBe(last.usage.prompt_tokens);
    expect(first.usage.completion_tokens).toBe(0);
    expect(first.usage.total_tokens).toBe(first.usage.prompt_tokens);
    expect(first.usage.prompt_tokens_details).toEqual(last.usage.prompt_tokens_details);
    expect(rest.filter((chunk) => chunk.usage !== undefined)).toEqual([last]);
  });

  describe("to a conversation that ends with the assistant", () => {
    const question = { role: "user", content: "Say something." };

    test("goes on from there and does not repeat it", async () => {
      const first = await device.chat("a", { max_tokens: 24 }).done;
      const whole: string = first.result.choices[0].message.content;
      for (const cut of [5, 10, 15]) {
        const messages = [question, { role: "assistant", content: whole.slice(0, cut) }];
        for (const stream of [true, false]) {
          const answer = await device.chat("a", { messages, stream, max_tokens: 4 }).done;
          const text = stream ? textOf(answer) : answer.result.choices[0].message.content;
          expect(text.length).toBeGreaterThan(0);
          expect(whole.slice(cut)).toStartWith(text);
        }
      }
    });

    test("keeps the space at the end of what it continues", async () => {
      const messages = [question, { role: "assistant", content: "Once upon a " }];
      const { result } = await device.submit("apply_template", "a", { messages }).done;
      expect(result.prompt).toEndWith("assistant\nOnce upon a ");
    });

    test("begins a new message where the client says so", async () => {
      const messages = [question, { role: "assistant", content: "Once" }];
      for (const fields of [{ add_generation_prompt: true }, { continue_final_message: false }]) {
        const body = { messages, ...fields };
        const { result } = await device.submit("apply_template", "a", body).done;
        expect(result.prompt).toEndWith("Once<|im_end|>\n<|im_start|>assistant\n");
      }
    });

    test("is refused where what it should continue is the user's, or nothing can be", async () => {
      const cases = [
        { messages: [question], continue_final_message: true },
        {
          messages: [question, { role: "assistant", content: "Once" }],
          ...{ continue_final_message: true, add_generation_prompt: true },
        },
      ];
      for (const body of cases) {
        const answer = await device.chat("a", body).done;
        expect(answer.last.status).toBe("argument");
        expect(answer.result.message).toContain("continue_final_message");
      }
    });
  });

  test("has as many prompt tokens as were counted before, whatever the body", async () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Look." },
    ];
    const tools = [{ type: "function", function: { name: "look", parameters: {} } }];
    const bodies: Record<string, unknown>[] = [
      { messages },
      { messages: [...messages, { role: "assistant", content: "I se" }] },
      { messages, tools },
      { messages, tools, tool_choice: "required" },
      { messages, response_format: { type: "json_object" } },
      { messages: [...messages, { role: "system", content: "Now." }], stop: ["x"], logprobs: true },
    ];
    for (const body of bodies) {
      for (const model of ["a", "thinker"]) {
        const counted = await device.submit("count_tokens", model, body).done;
        const answer = await device.chat(model, { ...body, max_tokens: 2 }).done;
        expect(answer.last.kind).toBe("result");
        expect(answer.result.usage.prompt_tokens).toBe(counted.result.input_tokens);
      }
    }
  });

  test("is shortened to the room that is left, however much is asked for", async () => {
    const answer = await device.chat("a", { max_tokens: 1_000_000, ignore_eos: true }).done;
    expect(answer.result.choices[0].finish_reason).toBe("length");
    expect(answer.result.usage.total_tokens).toBeLessThanOrEqual(1024);
    expect(answer.result.usage.total_tokens).toBeGreaterThan(1000);
  });

  test("keeps a token that is biased out of it", async () => {
    const { result } = await device.submit("tokenize", "a", { content: "e" }).done;
    const logit_bias = { [String(result.tokens[0])]: 100 };
    const answer = await device.chat("a", { logit_bias, max_tokens: 6 }).done;
    expect(answer.result.choices[0].message.content).toBe("eeeeee");
  });

  test("fills in the text before a suffix where the model was made for it", async () => {
    await device.load("filler", await tinyModel("filler", { fills: true }), { slots: 1 });
    const body = { prompt: "int <|im_end|>", max_tokens: 4, temperature: 0 };
    const filled = await device.submit("completion", "filler", { ...body, suffix: "}" }).done;
    expect(filled.last.kind).toBe("result");
    const tokens = async (content: string) =>
      (await device.submit("tokenize", "filler", { content }).done).result.tokens.length as number;
    // Three tokens around the texts; what looks like a special token within them is fourteen bytes and none.
    const texts = (await tokens("int ")) + (await tokens("}"));
    expect(filled.result.usage.prompt_tokens).toBeGreaterThan(texts + 3 + 1);
    const plain = await device.submit("completion", "filler", { ...body, suffix: "" }).done;
    expect(plain.result.usage.prompt_tokens).toBe((await tokens("int ")) + 1);
    await device.job({ op: "unload", model: "filler" });
  });

  test("before a suffix is refused by other models, and for prompts that are not one text", async () => {
    const refused = await device.submit("completion", "a", { prompt: "x", suffix: "y" }).done;
    expect(refused.last.status).toBe("argument");
    expect(refused.result.message).toContain("'suffix' is not supported: model 'a'");
    const list = await device.submit("completion", "a", { prompt: ["x"], suffix: "y" }).done;
    expect(list.result.message).toContain("'prompt'");
  });
});
