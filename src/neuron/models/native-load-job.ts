import type { NativeJob } from "bun-ffi-cuda-bindings-local/engine";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import type { DeviceSet } from "../discovery/device-sets.ts";
import type { LoadChoice } from "./load-choice.ts";
import { defaultThreads } from "./threads.ts";

/** Context, slots and layers as they are tried; `gpuLayers` undefined leaves them as chosen. */
export interface LoadShape {
  readonly context: number;
  readonly slots: number;
  readonly gpuLayers: number | undefined;
}

const MEBIBYTE = 1024 * 1024;

/** A load in the engine's words, after nrn_job of neuron.h; `op` is load, an estimate has the same fields. */
export function nativeLoadJob(
  choice: LoadChoice,
  place: {
    readonly shape: LoadShape;
    readonly set: DeviceSet;
    readonly config: NeuronConfig;
    readonly cores: number;
    /** Whole MiB. */
    readonly promptCacheBytes: number;
  },
): NativeJob {
  const { options, use, adapters } = choice;
  const { entry } = choice.model;
  const { shape, set, config } = place;
  const threads = options.threads ?? set.threads ?? threadsOf(config, place.cores);
  const gpuLayers =
    shape.gpuLayers ?? options.gpu_layers ?? set.gpuLayers ?? config.defaults.gpu_layers;
  const split = options.tensor_split ?? set.tensorSplit;
  const job: Record<string, unknown> = {
    model: entry.id,
    path: entry.path,
    context: shape.context,
    slots: shape.slots,
    threads,
    threads_batch: threads,
    gpu_layers: gpuLayers < 0 ? undefined : gpuLayers,
    split_mode:
      set.devices.length > 1 ? (options.split_mode ?? set.splitMode ?? "layer") : undefined,
    tensor_split: split,
    cache_type_k: options.cache_type_k,
    cache_type_v: options.cache_type_v,
    flash_attention: options.flash_attention,
    batch: options.batch,
    ubatch: options.ubatch,
    prompt_cache_mib: place.promptCacheBytes / MEBIBYTE,
    pooling: options.pooling,
    embedding: use === "embed" ? true : undefined,
    reranking: use === "rerank" ? true : undefined,
    weight: options.weight,
    mmproj: entry.mmproj,
    draft: draftOf(choice),
    ngram: ngramOf(choice),
    lora: adapters.length === 0 ? undefined : adapters.map(({ path, scale }) => ({ path, scale })),
  };
  const given = Object.entries(job).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), op: "load" };
}

function threadsOf(config: NeuronConfig, cores: number): number {
  const { threads } = config.defaults;
  return threads > 0 ? threads : defaultThreads(cores > 0 ? cores : navigator.hardwareConcurrency);
}

function draftOf({ draft, options }: LoadChoice): object | undefined {
  if (draft === undefined) return undefined;
  const tokensMax = options.draft_tokens_max;
  return { path: draft.entry.path, ...(tokensMax === undefined ? {} : { tokens_max: tokensMax }) };
}

function ngramOf({ options }: LoadChoice): object | undefined {
  if (options.ngram === undefined) return undefined;
  const tokensMax = options.draft_tokens_max;
  return { type: options.ngram, ...(tokensMax === undefined ? {} : { tokens_max: tokensMax }) };
}
