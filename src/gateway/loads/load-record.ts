import type { EvictionStrategy } from "../evictor/eviction-order.ts";

/** Who wanted a load: a request, an operator, or the placement of profiles. */
export type LoadOrigin = "request" | "operator" | "placement";

/** A model that had to go for a load. */
export interface EvictedModel {
  /** As its neuron calls it. */
  readonly source: string;
  readonly strategy: EvictionStrategy;
  /** How long nobody had used it; undefined where this gateway never saw it used. */
  readonly idleSeconds: number | undefined;
  readonly freedBytes: number | undefined;
  /** Whether it was in use and had to finish first. */
  readonly wasBusy: boolean;
}

/** What a load did, kept by those who waited for it. Written by the loads alone; times are of the monotonic clock. */
export interface LoadRecord {
  readonly neuron: string;
  readonly model: string;
  readonly origin: LoadOrigin;
  readonly startMs: number;
  readonly evicted: EvictedModel[];
  /** When the neuron began to read it; 0 before. */
  loadingMs: number;
  /** When it was over, well or not; 0 before. */
  endMs: number;
}
