import { CortexError } from "../base/errors.ts";
import { type LoadRequest, RESIDENCE_SECONDS_MIN, type UnloadRequest } from "../protocol/models.ts";
import type { SimulatedEngine } from "./simulated-engine.ts";
import type { SimulatedModel } from "./simulated-model.ts";

/** What a caller that wants a model idle or unleased is refused for. */
export function checkUnused(
  model: SimulatedModel,
  request: UnloadRequest,
  use: { readonly isLeased: boolean; readonly isFresh: boolean },
): void {
  const { id, inFlight, pinned, state } = model;
  const wantsIdle = request.only_idle === true;
  if (wantsIdle && inFlight > 0) {
    throw new CortexError("conflict", `Model '${id}' is busy with ${inFlight} requests`);
  }
  if (!wantsIdle && request.only_unleased !== true) return;
  if (pinned && request.pinned_too !== true) {
    throw new CortexError("conflict", `Model '${id}' is pinned`);
  }
  if (state === "loading") throw new CortexError("conflict", `Model '${id}' is loading`);
  if (use.isLeased) throw new CortexError("conflict", `Model '${id}' is leased`);
  if (!use.isFresh) return;
  const text = `Model '${id}' has been ready for less than ${RESIDENCE_SECONDS_MIN} s`;
  throw new CortexError("conflict", text, { retryAfterSeconds: RESIDENCE_SECONDS_MIN });
}

/** What a load is refused for before there is a plan. */
export function checkLoadable(model: SimulatedModel, request: LoadRequest): void {
  const { id, state, shape } = model;
  if (state === "draining") {
    throw new CortexError("conflict", `Model '${id}' drains`, { retryAfterSeconds: 1 });
  }
  if (state !== "ready" && state !== "loading") return;
  const { slots, context } = shape;
  if ((request.slots ?? slots) === slots && (request.context ?? context) === context) return;
  throw new CortexError("conflict", `Model '${id}' is loaded in another shape`);
}

/** The engine that takes a request for an answer. Throws what a neuron refuses such a request for. */
export function getServing(
  model: SimulatedModel,
  { queueMax }: { readonly queueMax: number },
): SimulatedEngine {
  const { id, state, engine } = model;
  if (state !== "ready" || engine === undefined) {
    const code = state === "poisoned" ? "model_poisoned" : "model_not_loaded";
    throw new CortexError(code, `Model '${id}' is ${state}`, { retryAfterSeconds: 1 });
  }
  if (model.inFlight < model.shape.slots + queueMax) return engine;
  throw new CortexError("queue_full", `Queue of model '${id}' is full`, { retryAfterSeconds: 1 });
}
