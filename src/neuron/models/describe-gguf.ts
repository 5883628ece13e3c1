import type { Capability } from "../../protocol/models.ts";
import type { GgufHeader } from "./gguf.ts";
import { FILE_TYPES } from "./gguf-types.ts";

/** What requests and operators want to know of a model file. */
export interface ModelDescription {
  readonly name: string | undefined;
  readonly architecture: string;
  readonly contextTrain: number;
  readonly layers: number;
  readonly embeddingLength: number;
  readonly parameters: number;
  readonly quantization: string;
  readonly capabilities: readonly Capability[];
  /** How the engine must be told to load it. */
  readonly use: "generate" | "embed" | "rerank";
}

/** llama_pooling_type RANK: the model scores a query against a document. */
const POOLING_RANK = 4;
const POOLING_NONE = 0;

/** Architectures that only ever embed. */
const EMBEDDING_ARCHITECTURE = /bert|^gemma-embedding$|^llama-embed$|^t5encoder$/;

/** Reads a header's meaning. */
export function describeGguf(header: GgufHeader): ModelDescription {
  const architecture = header.strings.get("general.architecture") ?? "unknown";
  const number = (key: string) => header.numbers.get(`${architecture}.${key}`) ?? 0;
  const template = header.strings.get("tokenizer.chat_template");
  const use = findUse(architecture, header.numbers.get(`${architecture}.pooling_type`));
  return {
    name: header.strings.get("general.name"),
    architecture,
    contextTrain: number("context_length"),
    layers: number("block_count"),
    embeddingLength: number("embedding_length"),
    parameters: header.parameters,
    quantization: findQuantization(header),
    capabilities: findCapabilities(use, template),
    use,
  };
}

function findUse(architecture: string, pooling: number | undefined): ModelDescription["use"] {
  if (pooling === POOLING_RANK) return "rerank";
  if (pooling !== undefined && pooling !== POOLING_NONE) return "embed";
  return EMBEDDING_ARCHITECTURE.test(architecture) ? "embed" : "generate";
}

function findCapabilities(
  use: ModelDescription["use"],
  template: string | undefined,
): readonly Capability[] {
  if (use === "rerank") return ["rerank"];
  if (use === "embed") return ["embeddings"];
  if (template === undefined) return ["completion"];
  return /\btools\b/.test(template) ? ["chat", "completion", "tools"] : ["chat", "completion"];
}

/** The file's own word, else the type that most elements have. */
function findQuantization(header: GgufHeader): string {
  const fileType = header.numbers.get("general.file_type");
  const named = fileType === undefined ? undefined : FILE_TYPES[fileType];
  if (named !== undefined) return named;
  let [most, name] = [-1, "unknown"];
  for (const [type, elements] of header.elementsByType) {
    if (elements > most) [most, name] = [elements, type];
  }
  return name;
}
