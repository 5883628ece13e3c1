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

/**
 * A load that runs is joined. @throws CortexError conflict when both say how they want the model, and not the same;
 * what one of them leaves open is no difference.
 */
export function checkSameRequest(model: Model, joining: LoadRequest, running: LoadRequest): void {
  const differs = (["context", "slots", "device_set", "devices"] as const).find(
    (field) =>
      joining[field] !== undefined &&
      running[field] !== undefined &&
      String(joining[field]) !== String(running[field]),
  );
  if (differs === undefined) return;
  throw new CortexError(
    "conflict",
    `Model '${model.id}' is being loaded with ${differs} ${running[differs]}, not ${joining[differs]}`,
    { param: differs, retryAfterSeconds: 1 },
  );
}
