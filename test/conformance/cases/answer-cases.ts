import { ask, askBody, DIALECTS, MODES } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect, readChatUsage } from "../dialects/chat-dialect.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import { responsesDialect } from "../dialects/responses-dialect.ts";
import {
  expectArray,
  expectCount,
  expectEqual,
  expectJson,
  expectObject,
  expectOneOf,
  expectString,
  expectThat,
  show,
} from "../expectations.ts";
import { checkChatStream } from "../grammar/chat-grammar.ts";

const STORY = "Write a long story about a lighthouse.";
const SENTENCE = "The sea is wide and the wind is cold.";

/** Text answers, whole and streamed, their end and their usage. */
export const ANSWER_CASES: readonly ConformanceCase[] = [
  ...DIALECTS.flatMap((dialect) =>
    MODES.flatMap((mode): ConformanceCase[] => [
      {
        name: `an answer that reaches its limit, ${mode}, has exactly that many tokens and says so`,
        topic: mode === "streamed" ? "streams" : "answers",
        dialect: dialect.name,
        async run(target) {
          const reply = await ask(target, dialect, { user: STORY, maxTokens: 20, mode });
          expectEqual(reply.finish, "length", "Reason of the end");
          expectEqual(reply.usage.output, 20, "Tokens of the answer");
          expectThat(reply.text.length > 20, `The text is ${show(reply.text)}`);
          expectThat(reply.usage.input > 5, `The prompt has ${reply.usage.input} tokens`);
        },
      },
    ]),
  ),
  {
    name: "a limit of one token gives one token",
    topic: "usage",
    dialect: "chat",
    async run(target) {
      const reply = await ask(target, chatDialect, { user: STORY, maxTokens: 1 });
      expectEqual([reply.usage.output, reply.finish], [1, "length"], "Tokens and reason");
    },
  },
  {
    name: "max_completion_tokens is a limit as max_tokens is",
    topic: "limits",
    dialect: "chat",
    async run(target) {
      const { max_tokens, ...body } = chatDialect.write(
        { user: STORY, maxTokens: 9 },
        target.model,
      );
      const reply = await askBody(target, chatDialect, {
        body: { ...body, max_completion_tokens: max_tokens },
      });
      expectEqual(reply.usage.output, 9, "Tokens of the answer");
    },
  },
  {
    name: "a stream without include_usage has no chunk without choices",
    topic: "streams",
    dialect: "chat",
    async run(target) {
      const body = chatDialect.write({ user: STORY, maxTokens: 6 }, target.model);
      const events = await target.events(chatDialect.path, { ...body, stream: true });
      checkChatStream(events, { hasUsage: false });
    },
  },
  {
    name: "every chunk of a stream tells the same time of creation",
    topic: "streams",
    dialect: "chat",
    async run(target) {
      // Long enough that the clock's second changes.
      const body = chatDialect.write({ user: STORY, maxTokens: 48 }, target.model);
      const events = await target.events(chatDialect.path, { ...body, stream: true });
      const times = events
        .filter(({ data }) => data !== "[DONE]")
        .map(({ data }) => expectObject(expectJson(data, "A chunk"), "A chunk")["created"]);
      expectEqual(new Set(times).size, 1, "Number of times");
    },
  },
  {
    name: "the three dialects count the same tokens for the same conversation",
    topic: "usage",
    dialect: "http",
    async run(target) {
      const counts: number[] = [];
      for (const dialect of DIALECTS) {
        const reply = await ask(target, dialect, {
          user: SENTENCE,
          system: "Be brief.",
          maxTokens: 2,
        });
        counts.push(reply.usage.input);
      }
      expectEqual(new Set(counts).size, 1, `Kinds of counts among ${show(counts)}`);
    },
  },
  ...countCases(),
  {
    name: "the usage of a response tells cached and reasoning tokens",
    topic: "usage",
    dialect: "responses",
    async run(target) {
      const body = responsesDialect.write({ user: SENTENCE, maxTokens: 2 }, target.model);
      const answer = await target.json(responsesDialect.path, body);
      const usage = expectObject(answer["usage"], "usage");
      const input = expectObject(usage["input_tokens_details"], "input_tokens_details");
      const output = expectObject(usage["output_tokens_details"], "output_tokens_details");
      expectCount(input["cached_tokens"], "cached_tokens");
      expectCount(output["reasoning_tokens"], "reasoning_tokens");
    },
  },
  {
    name: "a prompt that was just read comes from the cache, and the sum stays the same",
    topic: "usage",
    dialect: "messages",
    isAlone: true,
    async run(target) {
      const user = `${SENTENCE} ${"Waves break on the old pier. ".repeat(12)}`;
      const first = await ask(target, messagesDialect, { user, maxTokens: 2 });
      const second = await ask(target, messagesDialect, { user, maxTokens: 2 });
      expectEqual(second.usage.input, first.usage.input, "Tokens of the same prompt");
      const { cached, input } = second.usage;
      expectThat(cached > input / 2, `${cached} of ${input} tokens came from the cache`);
    },
  },
  {
    name: "logprobs give one entry for each token, each with its alternatives",
    topic: "answers",
    dialect: "chat",
    async run(target) {
      const body = {
        ...chatDialect.write({ user: STORY, maxTokens: 5 }, target.model),
        logprobs: true,
        top_logprobs: 2,
      };
      const answer = await target.json(chatDialect.path, body);
      const choice = expectObject(expectArray(answer["choices"], "choices")[0], "choice");
      const entries = expectArray(
        expectObject(choice["logprobs"], "logprobs")["content"],
        "logprobs.content",
      );
      expectEqual(entries.length, 5, "Number of logprobs");
      for (const entry of entries.map((it) => expectObject(it, "logprobs.content[]"))) {
        expectEqual(typeof entry["logprob"], "number", "Type of logprob");
        expectEqual(expectArray(entry["top_logprobs"], "top_logprobs").length, 2, "top_logprobs");
      }
    },
  },
  {
    name: "two choices are two answers, or refused",
    topic: "answers",
    dialect: "chat",
    async run(target) {
      const body = { ...chatDialect.write({ user: STORY, maxTokens: 4 }, target.model), n: 2 };
      const answer = await target.send(chatDialect.path, body);
      expectOneOf(answer.status, [200, 400], "Status");
      if (answer.status === 400) {
        chatDialect.readError(answer);
        return;
      }
      const parsed = expectObject(expectJson(answer.text, "The answer"), "The answer");
      const choices = expectArray(parsed["choices"], "choices");
      const indices = choices.map((it) => expectObject(it, "choice")["index"]);
      expectEqual(indices.toSorted(), [0, 1], "Indices of the choices");
      expectEqual(readChatUsage(parsed["usage"]).output, 8, "Tokens of both answers");
    },
  },
  ...completionCases(),
];

/** What count_tokens says is what the usage of the same body says. */
function countCases(): ConformanceCase[] {
  const bodies: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ["of a plain question", {}],
    ["with a system prompt in blocks", { system: [{ type: "text", text: "Be brief." }] }],
    [
      "of three turns",
      {
        messages: [
          { role: "user", content: "Hello." },
          { role: "assistant", content: [{ type: "text", text: "Hello, what is it?" }] },
          { role: "user", content: [{ type: "text", text: SENTENCE }] },
        ],
      },
    ],
    [
      "with a tool",
      {
        tools: [
          { name: "look", description: "Looks.", input_schema: { type: "object", properties: {} } },
        ],
      },
    ],
  ];
  return bodies.map(([what, extra]) => ({
    name: `count_tokens ${what} is what the usage then says`,
    topic: "usage",
    dialect: "messages",
    async run(target) {
      const { path, headers } = messagesDialect;
      const { max_tokens, temperature, ...body } = messagesDialect.write(
        { user: SENTENCE, maxTokens: 2, extra },
        target.model,
      );
      const counted = await target.json(`${path}/count_tokens`, body, { headers });
      const reply = await askBody(target, messagesDialect, { body: { ...body, max_tokens: 2 } });
      expectEqual(counted["input_tokens"], reply.usage.input, "input_tokens");
    },
  }));
}

function completionCases(): ConformanceCase[] {
  const path = "/v1/completions";
  const bodyOf = (model: string) => ({
    model,
    prompt: "The three primary colours are red,",
    max_tokens: 6,
    temperature: 0,
  });
  return [
    {
      name: "a plain text is completed",
      topic: "answers",
      dialect: "completions",
      async run(target) {
        const answer = await target.json(path, bodyOf(target.model));
        expectEqual(answer["object"], "text_completion", "object");
        const choice = expectObject(expectArray(answer["choices"], "choices")[0], "choice");
        expectThat(expectString(choice["text"], "text").length > 0, "The text is empty");
        expectEqual(choice["finish_reason"], "length", "finish_reason");
        expectEqual(readChatUsage(answer["usage"]).output, 6, "Tokens of the answer");
      },
    },
    {
      name: "a completion is streamed and ends with its usage and [DONE]",
      topic: "streams",
      dialect: "completions",
      async run(target) {
        const events = await target.events(path, {
          ...bodyOf(target.model),
          stream: true,
          stream_options: { include_usage: true },
        });
        expectEqual(events.at(-1)?.data, "[DONE]", "Last data of the stream");
        const chunks = events
          .slice(0, -1)
          .map(({ data }) => expectObject(expectJson(data, "A chunk"), "A chunk"));
        for (const chunk of chunks) expectEqual(chunk["object"], "text_completion", "object");
        expectEqual(readChatUsage(chunks.at(-1)?.["usage"]).output, 6, "Tokens of the answer");
      },
    },
    {
      name: "a stop string ends a completion and is left out",
      topic: "stops",
      dialect: "completions",
      async run(target) {
        const body = { ...bodyOf(target.model), max_tokens: 40, stop: "e" };
        const answer = await target.json(path, body);
        const choice = expectObject(expectArray(answer["choices"], "choices")[0], "choice");
        expectEqual(choice["finish_reason"], "stop", "finish_reason");
        const text = expectString(choice["text"], "text");
        expectThat(!text.includes("e"), `The text holds the stop string: ${show(text)}`);
      },
    },
  ];
}
