import { describe, expect, test } from "bun:test";
import { chatToMessagesCases } from "../golden/translate/chat-to-messages.ts";
import { messagesToChatCases, prefillCase } from "../golden/translate/messages-to-chat.ts";
import { jsonOf, translate } from "./fixture.ts";

const HI = [{ role: "user", content: "Hi" }];
const PLAIN_MESSAGES = { model: "m", max_tokens: 100, messages: HI };
const PLAIN = {
  neuron: {
    model: "m",
    max_tokens: 100,
    messages: HI,
    chat_template_kwargs: { enable_thinking: false },
  },
  openai: { model: "m", max_completion_tokens: 100, messages: HI },
} as const;

describe("a messages request for an upstream that speaks chat", () => {
  for (const { name, in: given, out, dropped = [], openAiDropped = [], ...kinds } of [
    ...messagesToChatCases,
    prefillCase,
  ]) {
    for (const to of ["neuron", "openai"] as const) {
      const own = kinds[to];
      if (own === undefined && (kinds.neuron ?? kinds.openai) !== undefined) continue;
      test(`${name} (${to})`, () => {
        const body = jsonOf({ ...PLAIN_MESSAGES, ...given });
        const translation = translate({ from: "messages", to, body });
        expect(translation.path).toBe("/v1/chat/completions");
        expect(jsonOf(translation.body)).toEqual(jsonOf({ ...PLAIN[to], ...out, ...own }));
        const also = to === "openai" ? openAiDropped : [];
        expect(translation.dropped).toEqual([...dropped, ...also]);
      });
    }
  }
});

describe("a chat request for an Anthropic upstream", () => {
  const plain = { model: "claude-sonnet-4-5", max_tokens: 100, messages: HI };
  for (const { name, in: given, out, dropped = [] } of chatToMessagesCases) {
    test(name, () => {
      const body = jsonOf({ ...plain, ...given });
      const translation = translate({ from: "chat", to: "anthropic", body });
      expect(translation.path).toBe("/v1/messages");
      expect(jsonOf(translation.body)).toEqual(jsonOf({ ...plain, ...out }));
      expect(translation.dropped).toEqual(dropped);
    });
  }
});
