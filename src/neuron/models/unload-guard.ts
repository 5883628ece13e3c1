import { CortexError } from "../../base/errors.ts";
import { RESIDENCE_SECONDS_MIN, type UnloadRequest } from "../../protocol/models.ts";
import type { HeldLease } from "./holder-leases.ts";
import type { Model } from "./model.ts";

/** Whether it became ready just now, so that requests which waited for it may still be on their way. */
export function isFresh({ state, readyMs }: Model, monotonicMs: number): boolean {
  if (state !== "ready" || readyMs === undefined) return false;
  return monotonicMs - readyMs < RESIDENCE_SECONDS_MIN * 1000;
}

/**
 * Refuses an unload that wants the model idle or unleased and does not find it so:
 * 1. only_idle and a request runs or waits here;
 * 2. it is pinned;
 * 3. it is being loaded;
 * 4. requests wait for it elsewhere;
 * 5. it became ready just now.
 * @throws CortexError conflict
 */
export function checkUnused(
  model: Model,
  request: UnloadRequest,
  now: { readonly leases: readonly HeldLease[]; readonly monotonicMs: number },
): void {
  const wantsIdle = request.only_idle === true;
  if (!wantsIdle && request.only_unleased !== true) return;
  const refuse = (why: string, details: ConstructorParameters<typeof CortexError>[2] = {}) => {
    throw new CortexError("conflict", `Model '${model.id}' ${why}`, details);
  };
  if (wantsIdle && model.inFlight > 0) {
    const figures = { in_flight: model.inFlight };
    refuse(`is busy with ${model.inFlight} requests`, { figures });
  }
  if (model.pinned && request.pinned_too !== true) refuse("is pinned");
  if (model.state === "loading") refuse("is loading");
  const [first] = now.leases;
  if (first !== undefined) {
    const others = now.leases.length > 1 ? `, and ${now.leases.length - 1} more lease it` : "";
    refuse(
      `is leased by ${first.holder} for ${first.seconds_left} s: ` +
        `${first.count} requests wait for it there${others}`,
      { figures: { leases: now.leases } },
    );
  }
  if (isFresh(model, now.monotonicMs)) {
    refuse(`has been ready for less than ${RESIDENCE_SECONDS_MIN} s`, {
      retryAfterSeconds: RESIDENCE_SECONDS_MIN,
    });
  }
}
