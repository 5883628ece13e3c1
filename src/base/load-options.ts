import { type Static, Type as t } from "@sinclair/typebox";

/** Types that a KV cache may have in the engine. */
export const CACHE_TYPES = [
  ...["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"],
] as const;

/** The engine's own kinds of drafting without a draft model. */
export const NGRAM_TYPES = [
  ...["ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod", "ngram-cache"],
] as const;

function oneOf(values: readonly string[], description: string) {
  return t.Optional(
    t.Union(
      values.map((value) => t.Literal(value)),
      { description },
    ),
  );
}

function upTo(maximum: number, options: { readonly from: number; readonly description: string }) {
  const { from, description } = options;
  return t.Optional(t.Integer({ minimum: from, maximum, description }));
}

/**
 * How a model is loaded, beside its context and slots. A load request and a `[[models]]` table of neuron.toml have the
 * same keys; what neither names is the engine's default.
 */
export const loadOptions = {
  cache_type_k: oneOf(CACHE_TYPES, "Type of the cache's keys; f16 when left out"),
  cache_type_v: oneOf(
    CACHE_TYPES,
    "Type of the cache's values; all but f32, f16 and bf16 need flash attention",
  ),
  flash_attention: oneOf(["auto", "on", "off"], "auto takes it where the device has it"),
  gpu_layers: upTo(100_000, { from: -1, description: "Layers on the GPU; -1 means all" }),
  split_mode: oneOf(
    ["layer", "row", "tensor", "none"],
    "How a model lies on several devices; layer when left out",
  ),
  tensor_split: t.Optional(
    t.Array(t.Number({ minimum: 0, maximum: 1e6 }), {
      description: "Shares of the devices, in their order; by free memory when left out",
      minItems: 1,
      maxItems: 64,
    }),
  ),
  threads: upTo(512, { from: 1, description: "CPU threads" }),
  batch: upTo(65_536, { from: 32, description: "Most tokens of one step; 2048 when left out" }),
  ubatch: upTo(65_536, { from: 32, description: "Most tokens of one pass; 512 when left out" }),
  prompt_cache_mib: upTo(1_048_576, {
    from: 0,
    description: "Host memory for prompts that no slot holds, in MiB; 0 keeps none",
  }),
  use: oneOf(["generate", "embed", "rerank"], "What it is loaded for; by its file when left out"),
  pooling: oneOf(["model", "mean", "cls", "last", "rank"], "How embeddings are pooled"),
  draft: t.Optional(
    t.String({
      description: "Id of a small model with the same vocabulary that drafts its answers",
      minLength: 1,
      maxLength: 256,
    }),
  ),
  draft_tokens_max: upTo(64, { from: 1, description: "Most tokens of a draft" }),
  ngram: oneOf(NGRAM_TYPES, "Drafts from the text so far, without a draft model"),
  weight: t.Optional(
    t.Number({
      description:
        "Share of its device beside other models that have work: 2 gets twice the time of 1, which is the default",
      minimum: 0.01,
      maximum: 100,
    }),
  ),
};

const LoadOptionsSchema = t.Object(loadOptions);
/** See {@link loadOptions}. */
export type LoadOptions = Static<typeof LoadOptionsSchema>;

/** A LoRA adapter of neuron.toml by its name, and how strongly it counts. */
export const AdapterChoiceSchema = t.Object({
  name: t.String({ minLength: 1, maxLength: 256 }),
  scale: t.Optional(t.Number({ minimum: -100, maximum: 100 })),
});
export type AdapterChoice = Static<typeof AdapterChoiceSchema>;
