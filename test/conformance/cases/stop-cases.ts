import { ask, MODES } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect } from "../dialects/chat-dialect.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import { expectEqual, expectObject, expectThat, show } from "../expectations.ts";

const USER = "Tell me about the sea and the weather there.";
/** Ten of them; only the last ones are common enough to be met. */
const MANY = ["@1", "@2", "@3", "@4", "@5", "@6", "@7", "@8", "e", "a"];

/** Stop strings: they end the answer, never show, and are named where the dialect can. */
export const STOP_CASES: readonly ConformanceCase[] = [
  ...[chatDialect, messagesDialect].flatMap((dialect) =>
    MODES.map(
      (mode): ConformanceCase => ({
        name: `a stop string ends an answer, ${mode}, and is left out`,
        topic: "stops",
        dialect: dialect.name,
        async run(target) {
          const reply = await ask(target, dialect, {
            user: USER,
            maxTokens: 60,
            stop: ["e"],
            mode,
          });
          expectThat(
            !reply.text.includes("e"),
            `The text holds the stop string: ${show(reply.text)}`,
          );
          const finish = dialect === messagesDialect ? "stop_string" : "stop";
          expectEqual(reply.finish, finish, "Reason of the end");
        },
      }),
    ),
  ),
  ...MODES.map(
    (mode): ConformanceCase => ({
      name: `the stop string that was hit, ${mode}, is named`,
      topic: "stops",
      dialect: "messages",
      async run(target) {
        const reply = await ask(target, messagesDialect, {
          user: USER,
          maxTokens: 60,
          stop: ["@@@@", "e"],
          mode,
        });
        expectEqual(reply.stopString, "e", "stop_sequence");
      },
    }),
  ),
  {
    name: "a stop string of several tokens does not leak its beginning into a stream",
    topic: "stops",
    dialect: "chat",
    async run(target) {
      const request = { user: "Count from one to ten in words.", maxTokens: 24 };
      const free = await ask(target, chatDialect, request);
      const stop = free.text.slice(12, 20);
      expectThat(stop.length === 8, `The answer is too short for this: ${show(free.text)}`);
      const reply = await ask(target, chatDialect, { ...request, stop: [stop], mode: "streamed" });
      expectThat(!reply.text.includes(stop), `The text holds ${show(stop)}: ${show(reply.text)}`);
      const rest = [...stop].keys().some((length) => {
        return length > 1 && reply.text.endsWith(stop.slice(0, length)) && reply.text !== "";
      });
      expectThat(
        !rest || reply.finish !== "stop",
        `The text ends in ${show(reply.text.slice(-8))}`,
      );
    },
  },
  {
    name: "ten stop sequences are as good as one",
    topic: "stops",
    dialect: "messages",
    async run(target) {
      const reply = await ask(target, messagesDialect, { user: USER, maxTokens: 60, stop: MANY });
      expectEqual(reply.finish, "stop_string", "Reason of the end");
      expectThat(!/[ea]/.test(reply.text), `The text holds a stop string: ${show(reply.text)}`);
    },
  },
  {
    name: "a stop string may come as a plain string",
    topic: "stops",
    dialect: "chat",
    async run(target) {
      const body = { ...chatDialect.write({ user: USER, maxTokens: 60 }, target.model), stop: "e" };
      const answer = await target.json(chatDialect.path, body);
      const reply = chatDialect.readWhole(expectObject(answer, "The answer"));
      expectEqual(reply.finish, "stop", "Reason of the end");
    },
  },
  {
    name: "a stop sequence of white space alone is let go or refused, never an error of the server",
    topic: "stops",
    dialect: "messages",
    async run(target) {
      const body = messagesDialect.write(
        { user: USER, maxTokens: 4, stop: ["\n\n", " "] },
        target.model,
      );
      const { path, headers } = messagesDialect;
      const answer = await target.send(path, body, { headers });
      if (answer.status === 400) messagesDialect.readError(answer);
      else expectEqual(answer.status, 200, "Status");
    },
  },
];
