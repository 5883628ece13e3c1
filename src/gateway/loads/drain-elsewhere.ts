import { CortexError, describeError } from "../../base/errors.ts";
import type { EvictionStrategy } from "../evictor/eviction-order.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { EvictedModel } from "./load-record.ts";
import type { NeuronCall } from "./unload-idle.ts";

/** Beyond the drain: what the unload itself may take. */
const UNLOAD_MS = 60_000;

/** Drains that one load has asked neurons for, and what ends them. */
export interface Drains {
  readonly asked: Set<string>;
  readonly over: AbortController;
}

/** The load for which a model is drained. */
export interface DrainingCall extends NeuronCall {
  readonly entry: CatalogueEntry;
  readonly strategy: EvictionStrategy;
  readonly observer: { onEvicted(victim: EvictedModel): void };
}

/**
 * Closes a busy model if it is other gateways that keep it busy: they know nothing of who waits here, so the neuron
 * refuses their new requests, cuts none, and frees the model once the last has ended. Returns at once; what comes of it
 * is a change of the neuron. It is taken back when `over` aborts.
 */
export function drainElsewhere(
  call: DrainingCall,
  source: string,
  options: { readonly drains: Drains; readonly drainMs: number },
): void {
  const { fleet, neuron } = call;
  const { asked } = options.drains;
  const replica = fleet.findReplica(neuron, source);
  const running = replica?.running ?? 0;
  // The neuron says that it is busy; its figures may be two seconds old.
  const isUsedElsewhere = running === 0 || (replica?.report?.in_flight ?? 0) > running;
  if (!isUsedElsewhere || asked.has(source)) return;
  asked.add(source);
  void drain(call, source, options).finally(() => asked.delete(source));
}

async function drain(
  { api, entry, fleet, leases, log, neuron, strategy, observer }: DrainingCall,
  source: string,
  { drains, drainMs }: { readonly drains: Drains; readonly drainMs: number },
): Promise<void> {
  const keep = fleet.catalogue.findPlaced(source, neuron)?.keepKv === true;
  const request = {
    ...{ model: source, only_unleased: true, holder: leases.holder, room_for: entry.source },
    ...{ drain_seconds: drainMs / 1_000, ...(keep ? { keep_kv: true } : {}) },
  };
  try {
    await api.unload(request, { timeoutMs: drainMs + UNLOAD_MS, signal: drains.over.signal });
    fleet.noteNotLoaded(neuron, source);
    const unknown = { idleSeconds: undefined, freedBytes: undefined };
    observer.onEvicted({ source, strategy, wasBusy: true, ...unknown });
  } catch (thrown) {
    if (drains.over.signal.aborted) return;
    // Somebody waits for it elsewhere, or its requests go on for too long: the load looks again by itself.
    const isRefused = thrown instanceof CortexError && thrown.code === "conflict";
    log[isRefused ? "debug" : "warn"]("Model not drained", {
      ...{ neuron, model: source, cause: describeError(thrown) },
    });
  }
}
