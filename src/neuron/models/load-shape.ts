import { CortexError } from "../../base/errors.ts";
import { type LoadOptions, loadOptions } from "../../base/load-options.ts";
import type { LoadRequest } from "../../protocol/models.ts";
import { chosenOptions, type LoadChoice } from "./load-choice.ts";
import type { ChosenOptions, Model } from "./model.ts";

/** What a load asks for, and what that comes to with the model's table and the defaults. */
export interface AskedShape {
  readonly request: LoadRequest;
  readonly choice: LoadChoice;
}

/** What an option is for the engine where nobody names it; whoever names the same asks for nothing else. */
const ENGINE_DEFAULTS: LoadOptions = {
  ...{ cache_type_k: "f16", cache_type_v: "f16", flash_attention: "auto", split_mode: "layer" },
  ...{ gpu_layers: -1, batch: 2048, ubatch: 512, weight: 1 },
};

/** A ready model is left as it is. @throws CortexError conflict when a load wants it in another shape */
export function checkSameShape(model: Model, asked: AskedShape): void {
  const { loaded, placement } = model;
  const { request, choice } = asked;
  const figures = {
    ...{ context: loaded?.context, slots: loaded?.slots },
    devices: placement?.loop.devices,
  };
  const other = placement === undefined ? undefined : findOtherOption(asked, placement.chosen);
  if (other !== undefined) {
    throw new CortexError(
      "conflict",
      `Model '${model.id}' is loaded with ${other.param} ${other.there}, not ${other.wanted}; unload it first`,
      { param: other.param, figures },
    );
  }
  const differs =
    (request.context !== undefined && choice.context !== placement?.context) ||
    (request.slots !== undefined && request.slots !== loaded?.slots) ||
    (request.device_set !== undefined && request.device_set !== placement?.loop.name) ||
    (request.devices !== undefined &&
      request.devices.toSorted((a, b) => a - b).join() !== placement?.loop.devices.join());
  if (!differs) return;
  throw new CortexError(
    "conflict",
    `Model '${model.id}' is loaded with context ${loaded?.context} and ${loaded?.slots} slots; unload it first`,
    { figures },
  );
}

/**
 * A load that runs is joined. @throws CortexError conflict when both name a context, slots or devices and not the same,
 * or when an option that the second one names is another one in the first
 */
export function checkSameRequest(model: Model, joining: AskedShape, running: AskedShape): void {
  const [wanted, there] = [joining.request, running.request];
  const differs = (["context", "slots", "device_set", "devices"] as const).find(
    (field) =>
      wanted[field] !== undefined &&
      there[field] !== undefined &&
      String(wanted[field]) !== String(there[field]),
  );
  const other =
    differs === undefined
      ? findOtherOption(joining, chosenOptions(running.choice))
      : { param: differs, wanted: String(wanted[differs]), there: String(there[differs]) };
  if (other === undefined) return;
  throw new CortexError(
    "conflict",
    `Model '${model.id}' is being loaded with ${other.param} ${other.there}, not ${other.wanted}`,
    { param: other.param, retryAfterSeconds: 1 },
  );
}

/** The first option that a request names and a load has otherwise; what it leaves open is no difference. */
function findOtherOption(
  { request, choice }: AskedShape,
  has: ChosenOptions,
): { readonly param: string; readonly wanted: string; readonly there: string } | undefined {
  const named = (Object.keys(loadOptions) as (keyof LoadOptions)[]).filter(
    (name) => request[name] !== undefined,
  );
  const asked = chosenOptions(choice);
  for (const param of named) {
    const [wanted, there] = [optionOf(asked, param), optionOf(has, param)];
    if (wanted !== there) return { param, wanted, there };
  }
  if (request.adapters === undefined) return undefined;
  const [wanted, there] = [adaptersOf(asked), adaptersOf(has)];
  return wanted === there ? undefined : { param: "adapters", wanted, there };
}

function optionOf({ options, use, draft }: ChosenOptions, name: keyof LoadOptions): string {
  if (name === "use") return use;
  if (name === "draft") return draft ?? "none";
  const value = options[name] ?? ENGINE_DEFAULTS[name];
  return value === undefined ? "left out" : String(value);
}

function adaptersOf({ adapters }: ChosenOptions): string {
  const texts = adapters.map(({ name, scale }) => `${name}*${scale}`);
  return texts.length === 0 ? "none" : texts.toSorted().join(", ");
}
