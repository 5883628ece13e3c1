/**
 * What translating a stream costs per chunk, against JSON.parse and JSON.stringify of the same chunk in the same run.
 *
 *   bun test/bench/translate.ts [rounds] [chunks]
 */
import { formatSseData, SSE_DONE, SseReader } from "../../src/base/sse.ts";
import type { JsonObject } from "../../src/translate/chat/types.ts";
import type {
  ClientDialect,
  StreamTranslator,
  TranslationContext,
  UpstreamKind,
} from "../../src/translate/dialects.ts";
import { translateRequest } from "../../src/translate/translation.ts";
import { formatTable, median, spreadOf } from "./statistics.ts";

const ROUNDS = Number(process.argv[2] ?? 15);
const CHUNKS = Number(process.argv[3] ?? 20_000);
/** What a busy upstream's socket gives at once. */
const PIECE_BYTES = 4_096;

const HI = [{ role: "user", content: "Hi" }];
let ids = 0;
const context: TranslationContext = {
  requestId: "req_1",
  createdSeconds: 1_700_000_000,
  model: "client-model",
  promptTokens: 11,
  newId: (prefix) => `${prefix}_${++ids}`,
  recallThinking: () => undefined,
  keepThinking: () => undefined,
};

interface Pairing {
  readonly name: string;
  readonly from: ClientDialect;
  readonly to: UpstreamKind;
  readonly body: JsonObject;
  readonly upstream: string;
}

const WORDS = ["The", " quick", " brown", " fox", ' says "hi"', "\n", " über", " 🙂"];

function chatStream(count: number): string {
  const head = { id: "chatcmpl-9", object: "chat.completion.chunk", created: 1, model: "upstream" };
  const chunks = Array.from({ length: count }, (_, index) => {
    const delta = { content: WORDS[index % WORDS.length] };
    return formatSseData({ ...head, choices: [{ index: 0, delta, finish_reason: null }] });
  });
  const end = { ...head, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
  return chunks.join("") + formatSseData(end) + SSE_DONE;
}

const CHAT = chatStream(CHUNKS);
const MESSAGES_CLIENT: Pairing = {
  name: "messages client, chat upstream",
  from: "messages",
  to: "neuron",
  body: { model: "m", max_tokens: 9, messages: HI, stream: true },
  upstream: CHAT,
};
/** The same text as Anthropic sends it. */
const MESSAGES = relay(open(MESSAGES_CLIENT), cut(CHAT));

const PAIRINGS: readonly Pairing[] = [
  MESSAGES_CLIENT,
  {
    name: "chat client, messages upstream",
    from: "chat",
    to: "anthropic",
    body: { model: "m", messages: HI, stream: true },
    upstream: MESSAGES,
  },
  {
    name: "responses client, chat upstream",
    from: "responses",
    to: "neuron",
    body: { model: "m", input: "Hi", stream: true },
    upstream: CHAT,
  },
  {
    name: "responses client, messages upstream",
    from: "responses",
    to: "anthropic",
    body: { model: "m", input: "Hi", stream: true },
    upstream: MESSAGES,
  },
];

function open({ from, to, body }: Pairing): StreamTranslator {
  const stream = translateRequest({ from, to, body, context })?.answer?.openStream();
  if (stream === undefined) throw new Error(`${from} to ${to} needs no translation`);
  return stream;
}

function cut(text: string): readonly Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const count = Math.ceil(bytes.length / PIECE_BYTES);
  return Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
  );
}

function relay(stream: StreamTranslator, pieces: readonly Uint8Array[]): string {
  let text = "";
  for (const piece of pieces) text += stream.push(piece);
  const { text: last, ending } = stream.end();
  if (ending !== "done") throw new Error(`the stream ended with ${ending}`);
  return text + last;
}

/** Microseconds per chunk. */
function time(run: () => unknown): number {
  const startNs = Bun.nanoseconds();
  run();
  return (Bun.nanoseconds() - startNs) / CHUNKS / 1_000;
}

/** Parses and writes every chunk again, without cutting events out of bytes. */
function roundTrip(data: readonly string[]): number {
  let length = 0;
  for (const text of data) length += JSON.stringify(JSON.parse(text)).length;
  return length;
}

const rows = PAIRINGS.map((pairing) => {
  const pieces = cut(pairing.upstream);
  const data = new SseReader()
    .push(pairing.upstream)
    .map((event) => event.data)
    .filter((text) => text !== "[DONE]");
  const ours: number[] = [];
  const plain: number[] = [];
  // The first round only warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    const translated = time(() => relay(open(pairing), pieces));
    const parsed = time(() => roundTrip(data));
    if (round === 0) continue;
    ours.push(translated);
    plain.push(parsed);
  }
  const ratios = ours.map((value, index) => value / (plain[index] ?? Number.NaN));
  return [pairing.name, spreadOf(ours), median(plain).toFixed(2), spreadOf(ratios)];
});

const header = ["stream", "us per chunk", "parse + stringify", "ratio"];
console.log(`${ROUNDS} rounds of ${CHUNKS} chunks, median [least-most]\n`);
console.log(formatTable(header, rows));
