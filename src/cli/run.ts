import type { EventEmitter } from "node:events";
import { fstatSync } from "node:fs";
import { createInterface } from "node:readline";
import { CortexError, describeError } from "../base/errors.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { AnswerScreen } from "./client/answer-screen.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { readStdin } from "./client/read-text.ts";
import { type ChatAnswer, type ChatMessage, streamChat } from "./client/stream-chat.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";

/** Sent as bearer token where it is set, for a gateway that wants a key. */
const KEY_VARIABLE = "CORTEX_API_KEY";

/** `cortex run MODEL [PROMPT]`: a chat in the terminal. */
export const runCommand = defineCliCommand({
  name: "run",
  summary: "Chat with a model in the terminal, or answer one prompt",
  details: [
    "The answer is streamed; on a terminal, what a model thinks before it comes dimmed. What is piped in\n" +
      "follows the prompt, or is the prompt. Without either, on a terminal, it is a conversation: Ctrl-C ends\n" +
      `an answer, Ctrl-D the chat. $${KEY_VARIABLE} is sent as key.`,
  ],
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    prompt: { type: "positional", required: false, description: "one prompt, in quotes" },
    system: { type: "string", valueHint: "TEXT", description: "instructions for the model" },
    "max-tokens": { type: "string", valueHint: "COUNT", description: "longest answer" },
    ...clientFlags("900"),
  },
  examples: [
    'run smollm2 "Name three colours"',
    'run smollm2 "Write a commit message" < changes.diff',
    "run smollm2",
  ],
  exits: ["failed", "usage", "unreachable", "interrupted"],
  run: async (args) => {
    const tokensMax = readWhole(args["max-tokens"], "--max-tokens");
    const chat: Chat = {
      client: openClient(args),
      model: args.model,
      tokensMax,
      timeoutMs: Number(args.timeout) * 1000,
      history: args.system === undefined ? [] : [{ role: "system", content: args.system }],
    };
    const isTerminal = process.stdin.isTTY === true;
    if (args.prompt === undefined && isTerminal && args.json !== true) return await converse(chat);
    const piped = !isTerminal && mayRead(args.prompt !== undefined) ? await readStdin() : "";
    const prompt = [args.prompt ?? "", piped].filter((text) => text.trim() !== "").join("\n\n");
    if (prompt === "") {
      throw new CortexError("usage", "No prompt: neither an argument nor anything piped in", {
        hint: `cortex run ${args.model} "Hello"`,
      });
    }
    const interrupt = new AbortController();
    process.once("SIGINT", () => interrupt.abort(new CortexError("cancelled", "Interrupted")));
    const isStreamed = args.json !== true && args.quiet !== true;
    const answer = await answerTo(chat, { prompt, isStreamed, signal: interrupt.signal });
    printAnswer("run", args, { data: toJson(args.model, answer), text: "\n" });
    return EXIT.ok;
  },
});

interface Chat {
  readonly client: AdminClient;
  readonly model: string;
  readonly tokensMax: number | undefined;
  /** 0 waits for ever. */
  readonly timeoutMs: number;
  readonly history: ChatMessage[];
}

/** Asks with all that was said before; what was asked and answered is kept once the answer is whole. */
async function answerTo(
  chat: Chat,
  options: {
    readonly prompt: string;
    readonly isStreamed: boolean;
    readonly signal: AbortSignal;
  },
): Promise<ChatAnswer> {
  const { client, model, tokensMax, timeoutMs, history } = chat;
  const screen = new AnswerScreen();
  const question: ChatMessage = { role: "user", content: options.prompt };
  const late = new AbortController();
  const cancel =
    timeoutMs === 0 ? undefined : setTimeout(() => late.abort(timedOut(timeoutMs)), timeoutMs);
  try {
    const answer = await streamChat(client.url, {
      ...{ model, tokensMax, messages: [...history, question] },
      key: process.env[KEY_VARIABLE],
      signal: AbortSignal.any([options.signal, late.signal]),
      onText: (text) => {
        if (options.isStreamed) screen.writeText(text);
      },
      onThought: (text) => {
        if (options.isStreamed) screen.writeThought(text);
      },
    });
    history.push(question, { role: "assistant", content: answer.text });
    return answer;
  } finally {
    clearTimeout(cancel);
  }
}

function timedOut(timeoutMs: number): CortexError {
  return new CortexError("timeout", `The answer is not whole: waited ${timeoutMs / 1000} s`);
}

async function converse(chat: Chat): Promise<number> {
  const { dim, red } = styleFor(process.stderr);
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: "> " });
  let answering: AbortController | undefined;
  // Bun's types do not say that it is an emitter.
  const events = lines as unknown as EventEmitter;
  events.on("SIGINT", () => {
    if (answering === undefined) lines.close();
    else answering.abort(new CortexError("cancelled", "Interrupted"));
  });
  process.stderr.write(dim(`${chat.model} at ${chat.client.url}; Ctrl-D ends\n`));
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== "") {
      answering = new AbortController();
      try {
        await answerTo(chat, { prompt: line, isStreamed: true, signal: answering.signal });
      } catch (thrown) {
        process.stderr.write(red(`\n${describeError(thrown)}`));
      }
      answering = undefined;
      process.stdout.write("\n");
    }
    lines.prompt();
  }
  process.stdout.write("\n");
  return EXIT.ok;
}

/** With a prompt given, only what was really piped in is read: a service's standard input may never end. */
function mayRead(hasPrompt: boolean): boolean {
  if (!hasPrompt) return true;
  const stat = fstatSync(0);
  return stat.isFIFO() || stat.isFile();
}

function toJson(model: string, answer: ChatAnswer) {
  const { text, finishReason, promptTokens, completionTokens } = answer;
  return {
    ...{ model, text },
    ...(finishReason === undefined ? {} : { finish_reason: finishReason }),
    ...(promptTokens === undefined ? {} : { prompt_tokens: promptTokens }),
    ...(completionTokens === undefined ? {} : { completion_tokens: completionTokens }),
  };
}
