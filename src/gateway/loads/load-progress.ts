/**
 * How far a load is:
 * - `making_room`: it plans, and evicts who is idle;
 * - `waiting`: that is not enough, and models in use have to finish;
 * - `loading`: the neuron reads it.
 */
export type LoadPhase = "making_room" | "waiting" | "loading";

/** What a client that waits may be told. */
export interface LoadProgress {
  readonly phase: LoadPhase;
  /** 0 to 1: how much of the model is loaded; 0 before `loading`. */
  readonly progress: number;
  /** Loads of the same neuron that come first. */
  readonly ahead: number;
}
