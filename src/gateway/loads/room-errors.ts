import { CortexError } from "../../base/errors.ts";
import type { PlanResponse } from "../../protocol/models.ts";
import type { LoadRun } from "./load-run.ts";

const GIB = 1024 ** 3;

/** Models in use did not end in time. */
export function stillInUse(
  { entry, neuron }: LoadRun,
  plan: PlanResponse | undefined,
): CortexError {
  return new CortexError(
    "unavailable",
    `Model '${entry.id}' waits for room on ${neuron}: the models there are in use`,
    { retryAfterSeconds: 5, ...(plan === undefined ? {} : { figures: { ...plan } }) },
  );
}

/** No unload makes room; the figures say what is missing. */
export function doesNotFit(
  { entry, neuron }: LoadRun,
  plan: PlanResponse,
  reason: "pinned" | "too_large",
): CortexError {
  const why =
    reason === "pinned" ? "what could make room is pinned" : "its devices are too small for it";
  const figures = plan.devices
    .map(
      ({ index, needed_bytes, free_bytes }) =>
        `device ${index} needs ${gib(needed_bytes)}, has ${gib(free_bytes)} free`,
    )
    .join("; ");
  return new CortexError(
    "does_not_fit",
    `Model '${entry.id}' does not fit on ${neuron}: ${why} (${figures})`,
    { figures: { ...plan } },
  );
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(2)} GiB`;
}
