import type { ModelFigures } from "bun-ffi-cuda-bindings-local/engine";
import type { Model as ModelView } from "../../protocol/models.ts";
import type { Harness } from "../harness/harness.ts";
import type { Catalogue } from "./catalogue.ts";
import type { HolderLeases } from "./holder-leases.ts";
import type { Model } from "./model.ts";
import type { ModelLoader } from "./model-loader.ts";

/** Models as the protocol shows them, with the engine's figures of this moment. */
export class ModelViews {
  readonly #parts: {
    readonly catalogue: Catalogue;
    readonly harness: Harness;
    readonly loader: ModelLoader;
    readonly holders: HolderLeases;
  };

  constructor(parts: {
    readonly catalogue: Catalogue;
    readonly harness: Harness;
    readonly loader: ModelLoader;
    readonly holders: HolderLeases;
  }) {
    this.#parts = parts;
  }

  one(model: Model): ModelView {
    const figures = model.placement?.loop.figures();
    return this.#show(
      model,
      figures?.models.find((candidate) => candidate.model === model.id),
    );
  }

  /** Asks each device once, however many models there are. */
  all(models: readonly Model[]): ModelView[] {
    const figures = new Map<string, ModelFigures>();
    for (const loop of this.#parts.harness.loops()) {
      for (const each of loop.figures()?.models ?? []) figures.set(each.model, each);
    }
    return models.map((model) => this.#show(model, figures.get(model.id)));
  }

  #show(model: Model, figures: ModelFigures | undefined): ModelView {
    const { catalogue, loader, holders } = this.#parts;
    return model.view({
      aliases: catalogue.aliasesOf(model.entry),
      figures,
      leases: holders.of(model.id),
      defaults: loader.defaultShape(model),
    });
  }
}
