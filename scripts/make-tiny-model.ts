import { mkdir, rename } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { parseArgs } from "node:util";
import { encodeGguf, type GgufTensor, type GgufValue } from "./gguf-writer.ts";

/** What the model is made for: chat answers, sentence embeddings, or scores of a query and a document. */
export type TinyModelKind = "chat" | "embeddings" | "rerank";

export interface TinyModelOptions {
  /** The same seed gives the same bytes; another one gives other answers. Default 1. */
  readonly seed?: number;
  /** general.name. Default: the file's name without its ending. */
  readonly name?: string;
  readonly kind?: TinyModelKind;
  /** Tokens. Default 2048. */
  readonly contextLength?: number;
  /** A multiple of 64, because a head has 16 dimensions and there are at least four heads. Default 64. */
  readonly embeddingLength?: number;
  /** Default 2. */
  readonly layers?: number;
  /** Adds this many bytes of weights, about, by widening the feed-forward layers. Default 0. */
  readonly ballastBytes?: number;
  /** False leaves the chat template out. Default true. */
  readonly template?: boolean;
  /** Adds the tokens of models that fill in text between two others. Default false. */
  readonly fills?: boolean;
  /** True ends every answer after some tokens: with the first that ends in a full stop or a to m. Default false. */
  readonly ends?: boolean;
}

const HEAD_DIMENSIONS = 16;
const SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const;
const FILL_TOKENS = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"] as const;
/** Pairs that become one token, in order of rank; a few are enough for the format, and they give word-like output. */
const MERGES = ["t h", "th e", "Ġ the", "i n", "e r", "a n", "Ġ a", "o n", "Ġ in", "an d", "Ġ and"];
// token types of llama.h
const TOKEN_NORMAL = 1;
const TOKEN_CONTROL = 3;
// enum llama_pooling_type of llama.h
const POOLING_MEAN = 1;
const POOLING_RANK = 4;

const CHAT_TEMPLATE =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']" +
  " + '<|im_end|>' + '\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/**
 * Writes a GGUF model of some hundred kB with random weights, for tests that need an engine and not an answer: it
 * loads in milliseconds, tokenizes any bytes, and writes printable ASCII until it is stopped. Returns the path.
 */
export async function makeTinyModel(path: string, options: TinyModelOptions = {}): Promise<string> {
  const { metadata, tensors } = contentOf(path, options);
  await write(path, encodeGguf(metadata, tensors));
  return path;
}

/**
 * The same model in several files, as llama-gguf-split cuts large ones: `stem-00001-of-00003.gguf` has the metadata,
 * each has its share of the tensors. Returns the first one's path.
 */
export async function makeSplitTinyModel(
  stem: string,
  options: TinyModelOptions & { readonly parts: number },
): Promise<string> {
  const { parts } = options;
  const { metadata, tensors } = contentOf(stem, options);
  const share = Math.ceil(tensors.length / parts);
  const pathOf = (part: number) => {
    const [number, count] = [part + 1, parts].map((value) => String(value).padStart(5, "0"));
    return `${stem}-${number}-of-${count}.gguf`;
  };
  for (let part = 0; part < parts; part += 1) {
    const split: Record<string, GgufValue> = {
      "split.no": { u16: part },
      "split.count": { u16: parts },
      "split.tensors.count": { i32: tensors.length },
    };
    const own = tensors.slice(part * share, (part + 1) * share);
    await write(pathOf(part), encodeGguf(part === 0 ? { ...metadata, ...split } : split, own));
  }
  return pathOf(0);
}

function contentOf(path: string, options: TinyModelOptions) {
  const shape = shapeOf(path, options);
  const vocabulary = makeVocabulary(shape);
  const metadata = { ...metadataOf(shape), ...tokenizerOf(vocabulary, shape) };
  return { metadata, tensors: makeTensors(shape, vocabulary) };
}

/** Whole or not at all: another test may be about to read it. */
async function write(path: string, blob: Blob): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.${process.pid}.part`;
  await Bun.write(part, blob);
  await rename(part, path);
}

interface Shape {
  readonly seed: number;
  readonly name: string;
  readonly kind: TinyModelKind;
  readonly template: boolean;
  readonly fills: boolean;
  readonly ends: boolean;
  /** The rerank architecture is Qwen3's, since llama.cpp has a rank head there. */
  readonly architecture: "llama" | "qwen3";
  readonly context: number;
  readonly embedding: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly layers: number;
}

function shapeOf(path: string, options: TinyModelOptions): Shape {
  const embedding = options.embeddingLength ?? 64;
  const layers = options.layers ?? 2;
  if (embedding % 64 !== 0 || embedding <= 0) {
    throw new Error(`embeddingLength ${embedding} is not a multiple of 64`);
  }
  const kind = options.kind ?? "chat";
  // Three F16 matrices of embedding × width per layer.
  const ballast = Math.ceil((options.ballastBytes ?? 0) / (layers * 3 * 2 * embedding * 32)) * 32;
  return {
    seed: options.seed ?? 1,
    name: options.name ?? basename(path).replace(/\.gguf$/, ""),
    kind,
    template: options.template ?? true,
    fills: options.fills ?? false,
    ends: options.ends ?? false,
    architecture: kind === "rerank" ? "qwen3" : "llama",
    context: options.contextLength ?? 2048,
    embedding,
    heads: embedding / HEAD_DIMENSIONS,
    feedForward: embedding * 2 + ballast,
    layers,
  };
}

function metadataOf(shape: Shape): Record<string, GgufValue> {
  const own: Record<string, GgufValue> = {
    context_length: { u32: shape.context },
    embedding_length: { u32: shape.embedding },
    block_count: { u32: shape.layers },
    feed_forward_length: { u32: shape.feedForward },
    "attention.head_count": { u32: shape.heads },
    "attention.head_count_kv": { u32: shape.heads },
    "attention.key_length": { u32: HEAD_DIMENSIONS },
    "attention.value_length": { u32: HEAD_DIMENSIONS },
    "attention.layer_norm_rms_epsilon": { f32: 1e-5 },
    "rope.dimension_count": { u32: HEAD_DIMENSIONS },
    "rope.freq_base": { f32: 10_000 },
  };
  if (shape.kind === "embeddings") own["pooling_type"] = { u32: POOLING_MEAN };
  if (shape.kind === "rerank") {
    own["pooling_type"] = { u32: POOLING_RANK };
    own["classifier.output_labels"] = { strings: ["yes", "no"] };
  }
  const metadata: Record<string, GgufValue> = {
    "general.architecture": { string: shape.architecture },
    "general.type": { string: "model" },
    "general.name": { string: shape.name },
    "general.size_label": { string: "tiny" },
    "general.license": { string: "cc0-1.0" },
    // LLAMA_FTYPE_MOSTLY_F16
    "general.file_type": { u32: 1 },
  };
  for (const [key, value] of Object.entries(own)) metadata[`${shape.architecture}.${key}`] = value;
  return metadata;
}

/** Byte-level BPE after GPT-2: 256 bytes, the merged pairs, the special tokens. */
function makeVocabulary(shape: Shape): string[] {
  const bytes = Array.from({ length: 256 }, (_, byte) => byteCharacter(byte));
  return [...bytes, ...MERGES.map((pair) => pair.replace(" ", "")), ...specialTokens(shape)];
}

function specialTokens(shape: Shape): readonly string[] {
  return shape.fills ? [...SPECIAL_TOKENS, ...FILL_TOKENS] : SPECIAL_TOKENS;
}

/** GPT-2's printable stand-in for a byte: itself where it prints, else the next code point from 256. */
function byteCharacter(byte: number): string {
  if (isPrintableByte(byte)) return String.fromCodePoint(byte);
  let skipped = 0;
  for (let below = 0; below < byte; below++) if (!isPrintableByte(below)) skipped++;
  return String.fromCodePoint(256 + skipped);
}

function isPrintableByte(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

function tokenizerOf(vocabulary: readonly string[], shape: Shape): Record<string, GgufValue> {
  const idOf = (token: (typeof SPECIAL_TOKENS)[number]) => ({ u32: vocabulary.indexOf(token) });
  const isSpecial = (token: string) => specialTokens(shape).includes(token);
  return {
    "tokenizer.ggml.model": { string: "gpt2" },
    "tokenizer.ggml.pre": { string: "gpt-2" },
    "tokenizer.ggml.tokens": { strings: vocabulary },
    "tokenizer.ggml.token_type": {
      i32s: vocabulary.map((token) => (isSpecial(token) ? TOKEN_CONTROL : TOKEN_NORMAL)),
    },
    "tokenizer.ggml.merges": { strings: MERGES },
    "tokenizer.ggml.bos_token_id": idOf("<|endoftext|>"),
    "tokenizer.ggml.eos_token_id": idOf("<|im_end|>"),
    "tokenizer.ggml.padding_token_id": idOf("<|endoftext|>"),
    // A reranker's pair is joined as: query, end, separator, document, end.
    "tokenizer.ggml.seperator_token_id": idOf("<|im_start|>"),
    "tokenizer.ggml.add_bos_token": { bool: false },
    ...(shape.kind === "chat" && shape.template
      ? { "tokenizer.chat_template": { string: CHAT_TEMPLATE } }
      : {}),
  };
}

/**
 * Random weights with one arranged dimension: 0 is large in every embedding and no layer writes to it, so it survives
 * as a constant to the output, whose rows hold there how welcome a token is. That keeps the text printable.
 */
function makeTensors(shape: Shape, vocabulary: readonly string[]): GgufTensor[] {
  const { embedding, feedForward } = shape;
  const random = gaussian(shape.seed);
  const matrix = (name: string, columns: number, rows: number): GgufTensor => {
    const data = new Float16Array(columns * rows);
    const scale = 1 / Math.sqrt(columns);
    for (let i = 0; i < data.length; i++) data[i] = random() * scale;
    return { name, shape: [columns, rows], data };
  };
  const norm = (name: string, size: number): GgufTensor => ({
    name,
    shape: [size],
    data: new Float32Array(size).fill(1),
  });
  const withoutFirstRow = (tensor: GgufTensor) => {
    tensor.data.fill(0, 0, tensor.shape[0]);
    return tensor;
  };
  const tensors = [
    withFirstColumn(matrix("token_embd.weight", embedding, vocabulary.length), () => 1),
    norm("output_norm.weight", embedding),
    withFirstColumn(matrix("output.weight", embedding, vocabulary.length), (row) =>
      isWelcome(vocabulary[row] ?? "") ? 2 : -8,
    ),
  ];
  for (let layer = 0; layer < shape.layers; layer++) {
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    tensors.push(
      norm(name("attn_norm"), embedding),
      matrix(name("attn_q"), embedding, embedding),
      matrix(name("attn_k"), embedding, embedding),
      matrix(name("attn_v"), embedding, embedding),
      withoutFirstRow(matrix(name("attn_output"), embedding, embedding)),
      norm(name("ffn_norm"), embedding),
      matrix(name("ffn_gate"), embedding, feedForward),
      matrix(name("ffn_up"), embedding, feedForward),
      withoutFirstRow(matrix(name("ffn_down"), feedForward, embedding)),
    );
    if (shape.architecture === "qwen3") {
      tensors.push(norm(name("attn_q_norm"), HEAD_DIMENSIONS));
      tensors.push(norm(name("attn_k_norm"), HEAD_DIMENSIONS));
    }
  }
  if (shape.kind === "rerank") tensors.push(matrix("cls.output.weight", embedding, 2));
  if (shape.ends) endSoon(tensors, vocabulary);
  return tensors;
}

/** Far above what a welcome token can reach. */
const END_WEIGHT = 20;

/**
 * Arranges dimension 1, too: the last tokens have it, no layer writes to it, and only the end token asks for it. Half
 * of what is welcome may be the last one, so that low temperatures find no long way around them.
 */
function endSoon(tensors: readonly GgufTensor[], vocabulary: readonly string[]): void {
  const isLast = (row: number) => /^Ġ?[a-z]{0,2}[a-m.]$/.test(vocabulary[row] ?? "");
  const end = vocabulary.indexOf("<|im_end|>");
  for (const { name, shape, data } of tensors) {
    const columns = shape[0] ?? 0;
    if (/attn_output|ffn_down/.test(name)) data.fill(0, columns, 2 * columns);
    if (!/^(token_embd|output)\.weight$/.test(name)) continue;
    for (let row = 0; row * columns < data.length; row++) {
      const isOutput = name === "output.weight";
      const own = isOutput ? row === end && END_WEIGHT : isLast(row) && 1;
      data[row * columns + 1] = Number(own);
    }
  }
}

function withFirstColumn(tensor: GgufTensor, welcomeOf: (row: number) => number): GgufTensor {
  const columns = tensor.shape[0] ?? 0;
  for (let row = 0; row * columns < tensor.data.length; row++) {
    tensor.data[row * columns] = welcomeOf(row);
  }
  return tensor;
}

/** Letters, the space, a full stop and the merged tokens: what makes output look like text. */
function isWelcome(token: string): boolean {
  return /^(Ġ?[a-z]{1,3}|Ġ|\.)$/.test(token);
}

/** Standard normal numbers from a seed: mulberry32 for the bits, Box-Muller for the bell. */
function gaussian(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 4_294_967_296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: "string" },
      name: { type: "string" },
      kind: { type: "string" },
      context: { type: "string" },
      embedding: { type: "string" },
      layers: { type: "string" },
      "ballast-mib": { type: "string" },
      ends: { type: "boolean" },
    },
  });
  const [path] = positionals;
  const kind = (["chat", "embeddings", "rerank"] as const).find((name) => name === values.kind);
  if (path === undefined || (values.kind !== undefined && kind === undefined)) {
    process.stderr.write(
      "Usage: bun scripts/make-tiny-model.ts OUT.gguf [--seed N] [--name X]\n" +
        "  [--kind chat|embeddings|rerank] [--context N] [--embedding N] [--layers N]" +
        " [--ballast-mib N] [--ends]\n",
    );
    process.exit(2);
  }
  const written = await makeTinyModel(path, {
    ...(kind === undefined ? {} : { kind }),
    ...(values.name === undefined ? {} : { name: values.name }),
    seed: Number(values.seed ?? 1),
    ends: values.ends ?? false,
    contextLength: Number(values.context ?? 2048),
    embeddingLength: Number(values.embedding ?? 64),
    layers: Number(values.layers ?? 2),
    ballastBytes: Number(values["ballast-mib"] ?? 0) * 1024 * 1024,
  });
  process.stdout.write(`${written} (${Bun.file(written).size} bytes)\n`);
}

if (import.meta.main) await main();
