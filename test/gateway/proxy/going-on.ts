import { type FakeNeuron, type FakeRequest, streamOf } from "../../fakes/fake-neuron.ts";
import { HeldStream } from "../../fakes/held-stream.ts";

/** What the model of these tests always answers, in its tokens. */
export const TOKENS = ["The", " sea", " is", " wi", "de", ",", "\n\n", " blue", " old", "."];
export const ANSWER = TOKENS.join("");
export const PROMPT_TOKENS = 7;

interface ChatBody {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly stream_options?: { readonly include_usage?: boolean };
}

function event(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/**
 * The events of an answer to that request: from where its last message of the assistant ends, within its limit, under
 * the id of that neuron.
 */
export function eventsOf(request: FakeRequest, id: string): string[] {
  const { messages, max_tokens, max_completion_tokens, stream_options } = request.body as ChatBody;
  const last = messages.at(-1);
  const given = last?.role === "assistant" ? last.content : "";
  const rest = tokensAfter(given);
  const limit = max_completion_tokens ?? max_tokens ?? rest.length;
  const said = rest.slice(0, limit);
  const head = { id, object: "chat.completion.chunk", created: id.length, model: "m" };
  const chunkOf = (delta: unknown, finish: string | null = null) =>
    event({ ...head, choices: [{ index: 0, delta, finish_reason: finish }] });
  const prompt = PROMPT_TOKENS + tokensIn(given).length;
  const usage = {
    prompt_tokens: prompt,
    completion_tokens: said.length,
    total_tokens: prompt + said.length,
  };
  return [
    chunkOf({ role: "assistant", content: "" }),
    ...said.map((content) => chunkOf({ content })),
    chunkOf({}, said.length < rest.length ? "length" : "stop"),
    ...(stream_options?.include_usage === true ? [event({ ...head, choices: [], usage })] : []),
    "data: [DONE]\n\n",
  ];
}

/** The tokens of a beginning of the answer; one that ends within a token has part of it. */
export function tokensIn(text: string): string[] {
  const tokens: string[] = [];
  let left = text;
  for (const token of TOKENS) {
    if (left === "") break;
    tokens.push(left.slice(0, token.length));
    left = left.slice(token.length);
  }
  return tokens;
}

function tokensAfter(given: string): string[] {
  if (!ANSWER.startsWith(given)) throw new Error(`The answer does not begin with '${given}'`);
  let passed = 0;
  const rest: string[] = [];
  for (const token of TOKENS) {
    const from = Math.max(0, given.length - passed);
    passed += token.length;
    if (from < token.length) rest.push(token.slice(from));
  }
  return rest;
}

/** Lets a neuron answer as that model, and count its tokens. */
export function answerWhole(neuron: FakeNeuron, id: string): void {
  neuron.answer = (request) => answer(request, () => streamOf(eventsOf(request, id)));
}

/** The same, but each stream breaks off after so many events: by its end, or by an event of an error. */
export function answerCut(
  neuron: FakeNeuron,
  id: string,
  cut: { readonly after: number; readonly by?: "end" | "error" },
): void {
  const failure = event({ error: { message: "the engine failed", type: "server_error" } });
  neuron.answer = (request) =>
    answer(request, () => {
      const events = eventsOf(request, id).slice(0, cut.after);
      return streamOf(cut.by === "error" ? [...events, failure] : events);
    });
}

/** The same, but the connection stays open after so many events until the test ends it. */
export function answerHeld(neuron: FakeNeuron, id: string, after: number): void {
  neuron.answer = (request) =>
    answer(request, () => {
      const held = new HeldStream();
      for (const text of eventsOf(request, id).slice(0, after)) held.write(text);
      return held.response;
    });
}

function answer(request: FakeRequest, chat: () => Response): Response {
  if (request.path !== "/v1/tokenize") return chat();
  const { content } = request.body as { content: string };
  return Response.json({ tokens: tokensIn(content).map((_, index) => index) });
}
