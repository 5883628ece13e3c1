import type { Clock } from "../../base/clock.ts";
import type { EvictionStrategy } from "../evictor/eviction-order.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { LoadPhase } from "./load-progress.ts";
import type { EvictedModel } from "./load-record.ts";
import type { LoadSettings } from "./load-request.ts";
import type { LoadAhead } from "./plan-admission.ts";
import type { NeuronCall } from "./unload-idle.ts";

/** One load and what it works with. */
export interface LoadRun extends NeuronCall {
  readonly clock: Clock;
  readonly random: () => number;
  readonly strategy: EvictionStrategy;
  readonly loadSecondsMax: number;
  readonly groupMaxMs: number;
  readonly observer: { onEvicted(victim: EvictedModel): void };
  readonly entry: CatalogueEntry;
  readonly settings: LoadSettings;
  /** Of a load that nobody waits for: the seconds that it spares. It waits for nobody and evicts nothing worth more. */
  readonly gainSeconds: number | undefined;
  /** Aborts when nobody waits any more; what was begun on the neuron is ended all the same. */
  readonly abandoned: AbortSignal;
  /** Runs the work when no other load of this neuron plans or evicts. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** The loads of this neuron that came before and have no room yet. */
  readonly ahead: () => LoadAhead[];
  /** How long this one has. */
  readonly waitedMs: () => number;
  readonly enter: (phase: LoadPhase) => void;
  /** The neuron has begun for this load, which has not just met a model that was there or on its way. */
  readonly noteBegun: () => void;
}
