/**
 * CPU threads of a model. Measured, not derived: with llama.cpp on shared hosts a thread for every core collapses as
 * soon as a neighbour of equal priority runs (to 0.24 of one thread's speed with spinning barriers, 0.45 without), so
 * one core stays free for the main thread and the rest of the machine. `defaults.threads` of the configuration sets it.
 */
export function defaultThreads(cores: number): number {
  return Math.max(1, cores - 1);
}
