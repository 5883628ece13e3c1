import type { EventKind } from "./log-events.ts";
import type { ModelState } from "./models.ts";
import type { GatewayHealth, NeuronStatus, ReplicaStatus } from "./status.ts";

/*
 * What the dashboard is told over GET /ui/feed, as server-sent events: `snapshot` once, then `change`. Both hold a
 * FeedChange; a snapshot is the change from nothing. Models on disks alone, most of a large fleet, come in changes soon
 * after it, so that nobody waits for them. No schema: a browser reads it, with the code of the same build.
 */

/** The gateway as a whole. */
export interface GatewayView {
  readonly version: string;
  readonly state: GatewayHealth["state"];
  /** Milliseconds since the epoch. */
  readonly started_ms: number;
  readonly eviction_strategy: string;
  readonly in_flight: number;
  /** Requests that wait for a load. */
  readonly waiting: number;
  readonly loads: number;
  /** Models on disks alone. */
  readonly absent_models: number;
  /** Requests that run and are not listed one by one. */
  readonly requests_unlisted: number;
  readonly totals: TotalsView;
}

/** Counters since the gateway's start, as /metrics tells them, read with the last sample of the history. */
export interface TotalsView {
  readonly requests: number;
  readonly failed: number;
  readonly prompt_tokens: number;
  readonly cached_prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cold_starts: number;
  readonly evictions: number;
}

/** What one model has of a device, in bytes: planned until it is loaded, then measured. */
export interface DeviceShare {
  readonly model: string;
  readonly bytes: number;
}

export interface DeviceView {
  readonly index: number;
  readonly kind: string;
  readonly name: string;
  readonly total_bytes: number;
  /** As the device itself says, so that total less free is what is really used. */
  readonly free_bytes: number;
  readonly state: "ok" | "poisoned" | "lost";
  readonly cause?: string;
  readonly models: readonly DeviceShare[];
}

export interface NeuronView {
  readonly kind: NonNullable<NeuronStatus["kind"]>;
  readonly endpoint: string;
  readonly state: NeuronStatus["state"];
  readonly cause?: string;
  readonly version?: string;
  readonly stale?: true;
  /** Milliseconds since the epoch, where it does not answer now; 0 when it never did. */
  readonly last_seen_ms?: number;
  readonly in_flight: number;
  readonly devices: readonly DeviceView[];
}

export interface ModelView {
  readonly aliases: readonly string[];
  readonly state: ModelState;
  readonly pinned: boolean;
  readonly priority: number;
  readonly in_flight: number;
  readonly waiting: number;
  readonly context: number;
  readonly file_bytes: number;
  readonly quantization: string;
  /** Neurons that have it, loaded or not; of them those that can load it. */
  readonly holders: number;
  readonly loadable: boolean;
  /** Where it is more than a file. */
  readonly replicas: readonly ReplicaStatus[];
}

/** A request that is under way. */
export interface RequestView {
  readonly model: string;
  /** Which endpoint was asked. */
  readonly endpoint: string;
  readonly neuron: string | null;
  /** Why that neuron was chosen. */
  readonly reason: string | null;
  readonly phase: "routing" | "loading" | "reading" | "answering";
  readonly stream: boolean;
  readonly started_ms: number;
  /** Seconds to the first byte, once it was sent. */
  readonly ttft_seconds: number | null;
  readonly tokens: number;
}

/** A line of a role's log. */
export interface EventView {
  readonly at_ms: number;
  readonly level: "info" | "warn" | "error";
  readonly kind: EventKind;
  readonly text: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** The figures of five seconds; rates are per second, null where nothing was measured. */
export interface HistorySample {
  readonly at_ms: number;
  readonly requests_rate: number;
  readonly completion_rate: number;
  readonly prompt_rate: number;
  /** Of the prompt's tokens, 0 to 1. */
  readonly cached_share: number | null;
  readonly ttft_p50_seconds: number | null;
  readonly ttft_p95_seconds: number | null;
  readonly in_flight: number;
  readonly waiting: number;
  readonly failed_rate: number;
  readonly cold_starts_rate: number;
  readonly evictions_rate: number;
  readonly used_bytes: number;
  readonly total_bytes: number;
}

/** What each section of the feed holds under its keys. */
export interface FeedValues {
  /** One entry, `gateway`. */
  readonly gateway: GatewayView;
  /** By name. */
  readonly neurons: NeuronView;
  /** By id: those in memory somewhere, or asked for. */
  readonly models: ModelView;
  /** By id: those on disks alone. */
  readonly absent: ModelView;
  /** By the request's number in this gateway. */
  readonly requests: RequestView;
  /** By number, the newest last. */
  readonly events: EventView;
  /** By time, the newest last. */
  readonly history: HistorySample;
}

export type FeedSection = keyof FeedValues;

export const FEED_SECTIONS = [
  "gateway",
  "neurons",
  "models",
  "absent",
  "requests",
  "events",
  "history",
] as const satisfies readonly FeedSection[];

/** All that a dashboard shows. */
export type FeedState = { readonly [S in FeedSection]: ReadonlyMap<string, FeedValues[S]> };

/** What is new in one section, and what is no more. */
export interface SectionChange<V> {
  readonly set?: readonly (readonly [key: string, value: V])[];
  readonly gone?: readonly string[];
}

/** What leads from one state to the next; a section where nothing changed is missing. */
export type FeedChange = { readonly [S in FeedSection]?: SectionChange<FeedValues[S]> };

/** Brings one section of a state up to date, in place. */
export function applySection<V>(section: Map<string, V>, change: SectionChange<V>): void {
  for (const key of change.gone ?? []) section.delete(key);
  for (const [key, value] of change.set ?? []) section.set(key, value);
}
