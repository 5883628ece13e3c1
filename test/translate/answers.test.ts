import { describe, expect, test } from "bun:test";
import type { JsonObject, ThinkingBlock } from "../../src/translate/chat/types.ts";
import { chatAnswerCases } from "../golden/translate/chat-answers.ts";
import { chatStreamCases } from "../golden/translate/chat-streams.ts";
import { messagesAnswerCases } from "../golden/translate/messages-answers.ts";
import { messagesStreamCases } from "../golden/translate/messages-streams.ts";
import { jsonOf, openAnswer, translate } from "./fixture.ts";

const HI = [{ role: "user", content: "Hi" }];

describe("a whole answer of chat for an Anthropic client", () => {
  for (const { name, streamed, request, to = "neuron", in: given, out } of chatAnswerCases) {
    test(name, () => {
      const body = { model: "m", max_tokens: 100, messages: HI, ...request };
      const { whole } = openAnswer(translate({ from: "messages", to, body }));
      expect(jsonOf(whole(jsonOf(given)))).toEqual(jsonOf(out));
    });

    if (streamed === undefined) continue;
    test(`${name}: its stream adds up to the same message`, () => {
      const { events } = findCase(chatStreamCases, streamed);
      expect(gatherMessage(events as readonly JsonObject[])).toEqual(jsonOf(out));
    });
  }
});

describe("a whole answer of Anthropic for a chat client", () => {
  for (const { name, streamed, request, in: given, out } of messagesAnswerCases) {
    test(name, () => {
      const body = { model: "claude-sonnet-4-5", messages: HI, ...request };
      const { whole } = openAnswer(translate({ from: "chat", to: "anthropic", body }));
      expect(jsonOf(whole(jsonOf(given)))).toEqual(jsonOf(out));
    });

    if (streamed === undefined) continue;
    test(`${name}: its stream adds up to the same message`, () => {
      const { data } = findCase(messagesStreamCases, streamed);
      const chunks = data.filter((it): it is Chunk => it !== "[DONE]");
      const { usage, ...said } = gatherCompletion(chunks);
      const { usage: counted, ...expected } = toSaid(jsonOf(out));
      expect(said).toEqual(expected);
      // Where the client did not ask for it, a stream tells no usage.
      if (usage !== undefined) expect(usage).toEqual(counted ?? {});
    });
  }
});

function findCase<T extends { readonly name: string }>(cases: readonly T[], name: string): T {
  const found = cases.find((it) => it.name === name);
  if (found === undefined) throw new Error(`no golden stream is named '${name}'`);
  return found;
}

/** What Anthropic's libraries make of a stream's events. */
function gatherMessage(events: readonly JsonObject[]): JsonObject {
  let message: Record<string, unknown> = {};
  const blocks: Record<string, unknown>[] = [];
  const inputs = new Map<number, string>();
  for (const event of events.map(jsonOf)) {
    const index = Number(event["index"]);
    const delta = (event["delta"] ?? {}) as JsonObject;
    if (event["type"] === "message_start") message = { ...(event["message"] as JsonObject) };
    if (event["type"] === "content_block_start") {
      blocks[index] = { ...(event["content_block"] as JsonObject) };
    }
    if (event["type"] === "message_delta") Object.assign(message, delta, { usage: event["usage"] });
    const block = blocks[index];
    if (event["type"] !== "content_block_delta" || block === undefined) continue;
    if (delta["type"] === "input_json_delta") {
      const input = (inputs.get(index) ?? "") + String(delta["partial_json"]);
      inputs.set(index, input);
      continue;
    }
    const field = String(delta["type"]).replace("_delta", "");
    block[field] = String(block[field]) + String(delta[field]);
  }
  for (const [index, input] of inputs)
    Object.assign(blocks[index] ?? {}, { input: JSON.parse(input) });
  return { ...message, content: blocks };
}

interface Choice {
  readonly delta?: Said;
  readonly message?: Said;
  readonly finish_reason: string | null;
  readonly stop_reason?: string | null;
}

interface Said {
  readonly content?: string | null;
  readonly reasoning_content?: string;
  readonly refusal?: string | null;
  readonly thinking_blocks?: readonly ThinkingBlock[];
  readonly tool_calls?: readonly {
    readonly index?: number;
    readonly id?: string;
    readonly function: { readonly name?: string; readonly arguments: string };
  }[];
}

interface Chunk {
  readonly id: string;
  readonly model: string;
  readonly created: number;
  readonly choices: readonly Choice[];
  readonly usage?: object | null;
}

/** What both forms of a chat answer say; nothing, null and "" mean the same there. */
function newSaid({ id, model, created }: Chunk) {
  return {
    ...{ id, model, created },
    content: "",
    reasoning: "",
    refusal: "",
    thinking: [] as ThinkingBlock[],
    calls: [] as { id: string; name: string; arguments: string }[],
    finish: null as string | null,
    stop: null as string | null,
    usage: undefined as object | undefined,
  };
}

function gatherCompletion(chunks: readonly Chunk[]): ReturnType<typeof newSaid> {
  const [first] = chunks;
  if (first === undefined) throw new Error("the golden stream is empty");
  const gathered = newSaid(first);
  for (const { choices, usage } of chunks) {
    gathered.usage = usage ?? gathered.usage;
    for (const choice of choices) add(gathered, choice);
  }
  return gathered;
}

function add(to: ReturnType<typeof newSaid>, choice: Choice): void {
  const said = choice.delta ?? choice.message ?? {};
  to.content += said.content ?? "";
  to.reasoning += said.reasoning_content ?? "";
  to.refusal += said.refusal ?? "";
  to.thinking.push(...(said.thinking_blocks ?? []));
  for (const [position, { index = position, id = "", function: called }] of (
    said.tool_calls ?? []
  ).entries()) {
    const call = to.calls[index] ?? { id, name: called.name ?? "", arguments: "" };
    to.calls[index] = { ...call, arguments: call.arguments + called.arguments };
  }
  to.finish = choice.finish_reason ?? to.finish;
  to.stop = choice.stop_reason ?? to.stop;
}

const toSaid = (completion: JsonObject) => gatherCompletion([completion as unknown as Chunk]);
