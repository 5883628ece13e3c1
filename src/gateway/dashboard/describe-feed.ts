import { BUILD } from "../../base/version.ts";
import type { GatewayTotals } from "../../metrics/read-totals.ts";
import type {
  DeviceShare,
  FeedState,
  NeuronView,
  RequestView,
  TotalsView,
} from "../../protocol/feed.ts";
import type { Model } from "../../protocol/models.ts";
import type { NeuronStatus } from "../../protocol/status.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronRecord } from "../fleet/neuron-record.ts";
import type { Summary } from "../fleet/status.ts";
import type { LiveRequests, LiveView } from "../proxy/live-requests.ts";
import type { ModelViews } from "./model-views.ts";

/** What a state of the feed is made from. */
export interface FeedSources {
  readonly fleet: Fleet;
  readonly status: Summary;
  readonly models: ModelViews;
  readonly live: LiveRequests;
  readonly startedMs: number;
  /** As of the last sample; undefined before the first. */
  readonly totals: GatewayTotals | undefined;
  /** Nothing was told yet, and somebody waits for it. */
  readonly isFirst: boolean;
  readonly nowMs: number;
  readonly monotonicMs: number;
}

/** More than anybody reads; a rush of a thousand streams must not make every change a long one. */
const REQUESTS_LISTED_MAX = 200;

type CurrentState = Pick<FeedState, "gateway" | "neurons" | "models" | "absent" | "requests">;

/** The fleet and its requests as they are now: the same status that /admin/status tells, without what only ages. */
export function describeFeed(sources: FeedSources): CurrentState {
  const { fleet, status, models, live, nowMs, isFirst } = sources;
  const neurons = status.neurons.map((neuron): [string, NeuronView] => [
    neuron.name,
    describeNeuron(neuron, fleet.findNeuron(neuron.name), fleet),
  ]);
  const views = models.look(fleet, { nowMs, isFirst });
  const gateway = {
    version: BUILD,
    state: status.state,
    started_ms: Math.round(sources.startedMs),
    eviction_strategy: status.eviction_strategy,
    in_flight: status.in_flight,
    waiting: status.waiting,
    loads: status.loads,
    absent_models: Math.max(0, fleet.catalogue.entries.length - views.present.size),
    requests_unlisted: Math.max(0, live.count - REQUESTS_LISTED_MAX),
    totals: describeTotals(sources.totals),
  };
  return {
    gateway: new Map([["gateway", gateway]]),
    neurons: new Map(neurons),
    models: views.present,
    absent: views.absent,
    requests: listRequests(sources),
  };
}

function describeTotals(totals: GatewayTotals | undefined): TotalsView {
  return {
    requests: totals?.requests ?? 0,
    failed: totals?.failed ?? 0,
    prompt_tokens: totals?.promptTokens ?? 0,
    cached_prompt_tokens: totals?.cachedTokens ?? 0,
    completion_tokens: totals?.completionTokens ?? 0,
    cold_starts: totals?.coldStarts ?? 0,
    evictions: totals?.evictions ?? 0,
  };
}

function describeNeuron(
  status: NeuronStatus,
  record: NeuronRecord | undefined,
  fleet: Fleet,
): NeuronView {
  const {
    kind = "neuron",
    endpoint,
    state,
    cause,
    version,
    stale,
    last_seen_ms,
    in_flight,
  } = status;
  const shares = record === undefined ? new Map() : shareDevices(record, fleet);
  return {
    ...{ kind, endpoint, state, in_flight },
    ...(cause === undefined ? {} : { cause }),
    ...(version === undefined ? {} : { version }),
    ...(stale === true ? { stale } : {}),
    // While it answers, this would change with every word of it.
    ...(state === "down" || state === "unknown" || stale === true ? { last_seen_ms } : {}),
    devices: status.devices.map((device) => ({
      index: device.index,
      kind: device.kind,
      name: device.name,
      total_bytes: device.memory_total_bytes,
      free_bytes: device.memory_free_bytes,
      state: device.state,
      ...(device.cause === undefined ? {} : { cause: device.cause }),
      models: shares.get(device.index) ?? [],
    })),
  };
}

/** What the models of a neuron have of each device, by its index. */
function shareDevices(record: NeuronRecord, fleet: Fleet): Map<number, DeviceShare[]> {
  const shares = new Map<number, DeviceShare[]>();
  for (const { model, report } of record.residents) {
    if (report === undefined) continue;
    const id = fleet.catalogue.findPlaced(model, record.name)?.id ?? model;
    for (const [index, bytes] of bytesByDevice(report)) {
      const listed = shares.get(index) ?? [];
      listed.push({ model: id, bytes });
      shares.set(index, listed);
    }
  }
  return shares;
}

/** As measured where the neuron says it by device; a plan is for all of them together, and shared out evenly. */
function bytesByDevice({ devices, device_bytes, bytes }: Model): [index: number, bytes: number][] {
  if (device_bytes !== undefined) {
    return device_bytes.map(({ index, weights, context, compute }) => [
      index,
      weights + context + compute,
    ]);
  }
  if (bytes === undefined) return [];
  const each = Math.round((bytes.weights + bytes.context + bytes.compute) / devices.length);
  return devices.map((index) => [index, each]);
}

function listRequests({ live, nowMs, monotonicMs }: FeedSources): Map<string, RequestView> {
  const requests = new Map<string, RequestView>();
  for (const [request, number] of live.all) {
    if (requests.size >= REQUESTS_LISTED_MAX) break;
    const view = request.describe();
    requests.set(String(number), describeRequest(view, nowMs - monotonicMs));
  }
  return requests;
}

function describeRequest(view: LiveView, epochMs: number): RequestView {
  const { model, endpoint, neuron, reason, phase, stream, startMs, firstByteMs, tokens } = view;
  return {
    ...{ model, endpoint, phase, stream, tokens },
    neuron: neuron ?? null,
    reason: reason ?? null,
    // Two clocks differ by fractions from one look to the next.
    started_ms: Math.round((epochMs + startMs) / 100) * 100,
    ttft_seconds: firstByteMs > 0 ? Math.round(firstByteMs - startMs) / 1_000 : null,
  };
}
