import { isAbsolute, join } from "node:path";
import { CortexError } from "../../base/errors.ts";
import { type LoadOptions, loadOptions } from "../../base/load-options.ts";
import type { ModelDefaults, NeuronConfig } from "../../config/neuron-schema.ts";
import type { PlanRequest } from "../../protocol/models.ts";
import type { ChosenOptions, Model } from "./model.ts";

/** A LoRA adapter that a model is loaded with. */
export interface Adapter {
  readonly name: string;
  readonly path: string;
  readonly scale: number;
}

/** What a load of a model wants: the request's word first, then `[[models]]`, then the defaults. */
export interface LoadChoice {
  readonly model: Model;
  readonly draft: Model | undefined;
  readonly use: "generate" | "embed" | "rerank";
  readonly options: LoadOptions;
  readonly adapters: readonly Adapter[];
  readonly context: number;
  readonly slots: number;
  /** What nobody named in the request may be reduced to what the devices hold. */
  readonly free: { readonly context: boolean; readonly slots: boolean; readonly layers: boolean };
}

/** Bounds of the engine's 32-bit token positions. */
const TOKENS_MAX = 2 ** 31 - 1;
/** What a cache of values may be without flash attention. */
const PLAIN_CACHE_TYPES: readonly string[] = ["f32", "f16", "bf16"];

/**
 * Puts a request, a model's table and the defaults together.
 * @throws CortexError invalid_request for what cannot go together, model_not_found for a draft that is not there
 */
export function chooseLoad(
  model: Model,
  request: PlanRequest,
  world: {
    readonly config: NeuronConfig;
    readonly find: (name: string) => Model | undefined;
    readonly require: (name: string) => Model;
  },
): LoadChoice {
  const { config } = world;
  const table = config.models.find(({ id }) => world.find(id) === model);
  const options: LoadOptions = { ...pickOptions(table ?? {}), ...pickOptions(request) };
  const context = request.context ?? table?.context ?? config.defaults.context;
  const choice: LoadChoice = {
    model,
    draft: options.draft === undefined ? undefined : world.require(options.draft),
    use: (options.use as LoadChoice["use"] | undefined) ?? model.entry.description.use,
    options,
    adapters: chooseAdapters(model, request, {
      known: table?.adapters ?? [],
      folder: config.neuron.models_dir,
    }),
    context: limitContext(model, context),
    slots: request.slots ?? table?.slots ?? config.defaults.slots,
    free: {
      context: request.context === undefined,
      slots: request.slots === undefined,
      layers: options.gpu_layers === undefined && config.defaults.gpu_layers < 0,
    },
  };
  checkTogether(choice);
  return choice;
}

/** Tokens per slot: 0 means the training context, and more than that is of no use. */
export function limitContext(model: Model, context: number): number {
  const train = model.entry.description.contextTrain;
  return context === 0 ? train : train === 0 ? context : Math.min(context, train);
}

/** A choice as it is remembered while the model is loaded. */
export function chosenOptions({ options, use, draft, adapters }: LoadChoice): ChosenOptions {
  return { options, use, draft: draft?.id, adapters };
}

/** What tells two loads of one model apart, beside context and slots; its weight changes neither bytes nor answers. */
export function optionsKey({ options, adapters, draft, use }: LoadChoice): string {
  const named = adapters.map(({ path, scale }) => `${path}*${scale}`);
  return JSON.stringify([{ ...options, weight: undefined }, named, draft?.entry.digest, use]);
}

function pickOptions(from: LoadOptions): LoadOptions {
  const names = Object.keys(loadOptions) as (keyof LoadOptions)[];
  const given = names.filter((name) => from[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, from[name]]));
}

function chooseAdapters(
  model: Model,
  request: PlanRequest,
  all: { readonly known: NonNullable<ModelDefaults["adapters"]>; readonly folder: string },
): readonly Adapter[] {
  const { known } = all;
  const toAdapter = (adapter: (typeof known)[number], scale: number): Adapter => ({
    name: adapter.name,
    path: isAbsolute(adapter.path) ? adapter.path : join(all.folder, adapter.path),
    scale,
  });
  if (request.adapters === undefined) {
    return known
      .filter((adapter) => adapter.scale !== 0)
      .map((adapter) => toAdapter(adapter, adapter.scale));
  }
  return request.adapters.map(({ name, scale }, index) => {
    const adapter = known.find((candidate) => candidate.name === name);
    if (adapter !== undefined) return toAdapter(adapter, scale ?? (adapter.scale || 1));
    const names = known.map((candidate) => candidate.name).join(", ") || "none";
    throw new CortexError(
      "invalid_request",
      `Model '${model.id}' has no adapter '${name}' in neuron.toml, which has ${names}`,
      { param: `adapters.${index}.name` },
    );
  });
}

/** What the engine would refuse with a worse message, or take and fail at the first request. */
function checkTogether({ model, options, use, draft, context, slots }: LoadChoice): void {
  const refuse = (param: string, why: string): never => {
    throw new CortexError("invalid_request", `Cannot load model '${model.id}': ${why}`, { param });
  };
  const values = options.cache_type_v ?? "f16";
  if (options.flash_attention === "off" && !PLAIN_CACHE_TYPES.includes(values)) {
    refuse("cache_type_v", `cache_type_v "${values}" needs flash attention, which is "off"`);
  }
  const batch = options.batch ?? 2048;
  if ((options.ubatch ?? 0) > batch) {
    refuse("ubatch", `ubatch is ${options.ubatch}, at most batch, which is ${batch}`);
  }
  if (context * slots > TOKENS_MAX) {
    refuse("context", `context ${context} times slots ${slots} is above ${TOKENS_MAX}`);
  }
  if (use === "generate" && options.pooling !== undefined) {
    refuse("pooling", `pooling "${options.pooling}" is for use "embed" or "rerank"`);
  }
  if (use !== "generate" && options.ngram !== undefined) {
    refuse("ngram", `ngram "${options.ngram}" is for models that generate, use is "${use}"`);
  }
  if (draft === undefined) return;
  if (use !== "generate" || draft.entry.description.use !== "generate") {
    refuse("draft", `draft '${draft.id}' and the model must both generate`);
  }
  if (draft === model) refuse("draft", "a model cannot draft for itself");
  if (draft.entry.problem !== undefined) {
    refuse("draft", `draft '${draft.id}' cannot be loaded: ${draft.entry.problem}`);
  }
}
