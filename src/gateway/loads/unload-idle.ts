import { CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Model } from "../../protocol/models.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";

/** Where a model is, and what it takes to talk to its neuron. */
export interface NeuronCall {
  readonly fleet: Fleet;
  readonly api: NeuronApi;
  readonly leases: LeaseKeeper;
  readonly log: Log;
  readonly neuron: string;
  readonly signal: AbortSignal;
}

/** Freeing device memory is quick, writing a cache to disk takes longer; the neuron waits for nobody with only_idle. */
const UNLOAD_TIMEOUT_MS = 60_000;
const MODELS_TIMEOUT_MS = 30_000;

/**
 * Unloads a model unless somebody uses it or waits for it; resolves with the freed bytes, or with undefined when
 * somebody does. The memory is kept for `roomFor`, if any; a pinned model goes only with `pinnedToo`. The caller has
 * the neuron's turn, so that a request for the model waits to load it again.
 */
export async function unloadIdle(
  call: NeuronCall,
  source: string,
  options: { readonly roomFor?: string; readonly pinnedToo?: boolean } = {},
): Promise<number | undefined> {
  const { fleet, api, neuron, signal } = call;
  const replica = fleet.findReplica(neuron, source);
  if (replica !== undefined && replica.running > 0) return undefined;
  if (replica !== undefined && replica.waiting > 0 && !replica.closed) return undefined;
  const keepKv = fleet.catalogue.findPlaced(source, neuron)?.keepKv === true;
  // From here on a request for it waits for its turn to load it again.
  fleet.noteNotLoaded(neuron, source);
  try {
    const { holder } = call.leases;
    const keep = keepKv ? { keep_kv: true } : {};
    const room = options.roomFor === undefined ? {} : { room_for: options.roomFor };
    const pinned = options.pinnedToo === true ? { pinned_too: true } : {};
    const request = { model: source, only_idle: true, holder, ...keep, ...room, ...pinned };
    return (await api.unload(request, { timeoutMs: UNLOAD_TIMEOUT_MS, signal })).freed_bytes;
  } catch (thrown) {
    await refreshModels(call);
    // The neuron has the last word on who uses it.
    if (thrown instanceof CortexError && thrown.code === "conflict") return undefined;
    throw thrown;
  }
}

/** Asks the neuron for the state of all its models, and tells the fleet what is not newer there. */
export async function refreshModels(call: NeuronCall): Promise<void> {
  const { fleet, neuron } = call;
  const told = fleet.toldBy(neuron);
  const models = await readModels(call);
  if (models !== undefined) fleet.applyModels(neuron, models, told);
}

/** All models of the neuron as it has them now; undefined when it does not answer. */
export async function readModels(call: NeuronCall): Promise<Model[] | undefined> {
  const { api, log, neuron, signal } = call;
  try {
    return await api.models({ timeoutMs: MODELS_TIMEOUT_MS, signal });
  } catch (thrown) {
    signal.throwIfAborted();
    // The poller judges whether the neuron is down; here the next look decides.
    log.debug("Models not read", { neuron, cause: describeError(thrown) });
    return undefined;
  }
}
