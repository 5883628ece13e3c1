import { CortexError } from "../../base/errors.ts";
import type { LoadRequest } from "../../protocol/models.ts";
import type { Model } from "./model.ts";

/** A ready model is left as it is. @throws CortexError conflict when a load wants it in another shape */
export function checkSameShape(model: Model, request: LoadRequest): void {
  const { loaded, placement } = model;
  const differs =
    (request.context !== undefined && request.context !== placement?.context) ||
    (request.slots !== undefined && request.slots !== loaded?.slots) ||
    (request.device_set !== undefined && request.device_set !== placement?.loop.name) ||
    (request.devices !== undefined &&
      request.devices.toSorted((a, b) => a - b).join() !== placement?.loop.devices.join());
  if (!differs) return;
  throw new CortexError(
    "conflict",
    `Model '${model.id}' is loaded with context ${loaded?.context} and ${loaded?.slots} slots; unload it first`,
    {
      figures: { context: loaded?.context, slots: loaded?.slots, devices: placement?.loop.devices },
    },
  );
}
