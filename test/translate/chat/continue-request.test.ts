import { expect, test } from "bun:test";
import { continueRequest, planTakeUp } from "../../../src/translate/chat/continue-request.ts";

const fixed = { temperature: 0 };

function takeUp(text: string, body = fixed, reasoning = ""): readonly [string, string] {
  const { text: given, overlap } = planTakeUp({ text, reasoning }, body);
  return [given, overlap];
}

test("a text without chance is taken up before the blanks in front of its last word", () => {
  expect(takeUp("The sea is wi")).toEqual(["The sea is", " wi"]);
  expect(takeUp("one.\n\n  two")).toEqual(["one.", "\n\n  two"]);
  expect(takeUp("one.\n\n")).toEqual(["one.", "\n\n"]);
  expect(takeUp("The")).toEqual(["", "The"]);
});

test("a text is taken up at its end where words are drawn, are very long, or come after thinking alone", () => {
  expect(takeUp("The sea is wi", { temperature: 0.7 })).toEqual(["The sea is wi", ""]);
  const long = `The ${"x".repeat(100)}`;
  expect(takeUp(long)).toEqual([long, ""]);
  expect(takeUp(`The${" ".repeat(100)}`)).toEqual([`The${" ".repeat(100)}`, ""]);
  expect(takeUp("The", fixed, "Hm")).toEqual(["The", ""]);
});

test("the rest is asked for under what is left of the limit, with thinking that is over", () => {
  const user = { role: "user", content: "Sea?" };
  const body = { messages: [user], max_tokens: 9, add_generation_prompt: true, seed: 4 };
  expect(continueRequest(body, { text: "The sea", reasoning: "Hm", tokens: 3 })).toEqual({
    messages: [user, { role: "assistant", reasoning_content: "Hm", content: "The sea" }],
    max_tokens: 6,
    seed: 4,
    stream: true,
    stream_options: { include_usage: true },
  });
  expect(() => continueRequest(body, { text: "The", reasoning: "", tokens: 9 })).toThrow("limit");
});
