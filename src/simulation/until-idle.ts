import type { Later } from "./simulated-engine.ts";
import type { SimulatedModel } from "./simulated-model.ts";

/** How long a drain waits, and for whom. */
export interface IdleWait {
  readonly seconds: number;
  /** Who asked for it; one that leaves ends the wait. */
  readonly caller: AbortSignal | undefined;
  readonly later: Later;
  /** Called whenever a model of the neuron has become idle. */
  readonly waits: Set<() => void>;
}

/** Resolves when the model runs nothing any more, when the time is over, or when the caller has left. */
export function untilIdle(model: SimulatedModel, wait: IdleWait): Promise<void> {
  const { seconds, caller, later, waits } = wait;
  if (model.inFlight === 0 || seconds === 0 || caller?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      cancel();
      caller?.removeEventListener("abort", finish);
      waits.delete(wake);
      resolve();
    };
    const wake = () => {
      if (model.inFlight === 0) finish();
    };
    const cancel = later(seconds * 1_000, finish);
    waits.add(wake);
    caller?.addEventListener("abort", finish);
  });
}
