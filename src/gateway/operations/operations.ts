import type { ByteSpan } from "../../base/byte-span.ts";
import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { AdminRemoveRequest, AdminRemoveResponse } from "../../protocol/removals.ts";
import type {
  AdminLoadRequest,
  AdminLoadResponse,
  AdminPlanRequest,
  AdminPlanResponse,
  AdminUnloadRequest,
  AdminUnloadResponse,
  Status,
} from "../../protocol/status.ts";
import type { EvictionStrategy } from "../evictor/eviction-order.ts";
import { isWarm } from "../fleet/candidates.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronRecord } from "../fleet/neuron-record.ts";
import {
  describeFleet,
  type StatusContext,
  type Summary,
  summarizeFleet,
} from "../fleet/status.ts";
import type { ColdLoads } from "../loads/cold-loads.ts";
import { chooseRoute } from "../router/router.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import { planRoute } from "./plan-route.ts";
import { PROMPT_TOKENS_DEFAULT, readPlanPrompt } from "./read-plan-prompt.ts";
import { unknownModel, unknownNeuron } from "./unknown-names.ts";

export interface OperationsOptions {
  readonly fleet: Fleet;
  readonly loads: ColdLoads;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly clock: Clock;
  readonly strategy: EvictionStrategy;
  readonly onUnloaded: () => void;
  /** An operator sends a model away. */
  readonly onReleased: (neuron: string, source: string) => void;
}

const DRAIN_SECONDS_DEFAULT = 30;
const UNPIN_TIMEOUT_MS = 30_000;
/** On top of the drain, for freeing the memory itself. */
const UNLOAD_GRACE_MS = 60_000;

/** What an operator can ask of the gateway; holds no state of its own. */
export class Operations {
  readonly #options: OperationsOptions;
  readonly #startMs: number;

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#startMs = options.clock.monotonicMs();
  }

  /** Everything, or what is more than a file on a disk. */
  status({ loadedOnly }: { readonly loadedOnly: boolean }): Status {
    return describeFleet(this.#options.fleet, { ...this.#context(), loadedOnly });
  }

  /** The neurons and what goes on, without the models. */
  summary(): Summary {
    return summarizeFleet(this.#options.fleet, this.#context());
  }

  #context(): StatusContext {
    const { clock, loads, strategy } = this.#options;
    return {
      uptimeSeconds: (clock.monotonicMs() - this.#startMs) / 1_000,
      loads: loads.count,
      evictionStrategy: strategy,
      nowMs: clock.nowMs(),
    };
  }

  /** Loads a model on the named or the best neuron and waits until it is ready. */
  async load(request: AdminLoadRequest, signal: AbortSignal): Promise<AdminLoadResponse> {
    const { fleet, loads, clock } = this.#options;
    const entry = this.#find(request.model);
    if (request.neuron === undefined) this.#assertLoadable(entry);
    const neuron = request.neuron ?? this.#bestNeuron(entry);
    this.#assertHas(neuron, entry);
    if (request.only_ready === true) this.#assertReady(neuron, entry);
    const startMs = clock.monotonicMs();
    const lease = fleet.acquire(neuron, entry, true);
    try {
      const { context, slots, pinned } = request;
      const settings = {
        ...(context === undefined ? {} : { context }),
        ...(slots === undefined ? {} : { slots }),
        ...(pinned === undefined ? {} : { pinned }),
      };
      await loads.ensureReady(neuron, entry, { signal, settings, origin: "operator" });
    } finally {
      lease.release();
    }
    return { model: entry.id, neuron, seconds: (clock.monotonicMs() - startMs) / 1_000 };
  }

  /** Unloads a model from the named or every neuron that holds it, after its requests or the drain time. */
  async unload(request: AdminUnloadRequest, signal: AbortSignal): Promise<AdminUnloadResponse> {
    const { fleet, apis, onReleased, onUnloaded } = this.#options;
    const entry = this.#find(request.model);
    const drainSeconds = request.drain_seconds ?? DRAIN_SECONDS_DEFAULT;
    const holders = [...fleet.neurons].filter((neuron) => {
      if (request.neuron !== undefined && request.neuron !== neuron.name) return false;
      if (!neuron.loads) return false;
      const report = neuron.replicas.get(entry.source)?.report;
      return report !== undefined && report.state !== "absent";
    });
    if (request.neuron !== undefined) this.#assertHas(request.neuron, entry);
    else if (holders.length === 0) this.#assertLoadable(entry);
    if (request.force !== true) this.#assertMayGo(entry, holders);
    const keep = entry.keepKv ? { keep_kv: true } : {};
    const unloaded = await Promise.all(
      holders.map(async ({ name, replicas }) => {
        const api = apis.get(name);
        if (api === undefined) throw new Error(`No neuron '${name}'`);
        const report = replicas.get(entry.source)?.report;
        onReleased(name, entry.source);
        if (report?.pinned === true && report.state === "ready") {
          // A neuron remembers a pin beyond the unload.
          const unpin = { model: entry.source, pinned: false, wait: false };
          await api.load(unpin, { timeoutMs: UNPIN_TIMEOUT_MS, signal });
        }
        const answer = await api.unload(
          { model: entry.source, drain_seconds: drainSeconds, ...keep },
          { timeoutMs: drainSeconds * 1_000 + UNLOAD_GRACE_MS, signal },
        );
        onUnloaded();
        return { neuron: name, freed_bytes: answer.freed_bytes };
      }),
    );
    return { model: entry.id, unloaded };
  }

  /** Removes a pulled model's files from the named neuron, or from the only one that has it. */
  async remove(request: AdminRemoveRequest, signal: AbortSignal): Promise<AdminRemoveResponse> {
    const { apis, onReleased } = this.#options;
    const entry = this.#find(request.model);
    const neuron = request.neuron ?? this.#onlyNeuron(entry);
    this.#assertHas(neuron, entry);
    const api = apis.get(neuron);
    if (api === undefined) throw new Error(`No neuron '${neuron}'`);
    const how = { force: request.force === true, dryRun: request.dry_run === true };
    if (how.force && !how.dryRun) onReleased(neuron, entry.source);
    const timeoutMs = DRAIN_SECONDS_DEFAULT * 1_000 + UNLOAD_GRACE_MS;
    return { ...(await api.remove(entry.source, how, { timeoutMs, signal })), neuron };
  }

  /** What the router would do with a request, and why it would not do something else. */
  async plan(
    request: AdminPlanRequest,
    { bytes, signal }: { readonly bytes: ByteSpan | undefined; readonly signal: AbortSignal },
  ): Promise<AdminPlanResponse> {
    const { fleet, apis, clock, strategy, loads } = this.#options;
    const entry = this.#find(request.model);
    const { source } = entry;
    const nowMs = clock.monotonicMs();
    const prompt = readPlanPrompt(request, { bytes, source, nowMs, prefixes: fleet.prefixes });
    const { holder } = loads;
    const { context, slots } = request;
    const settings = {
      ...(context === undefined ? {} : { context }),
      ...(slots === undefined ? {} : { slots }),
    };
    const plan = { fleet, apis, clock, strategy, holder, entry, prompt, settings };
    return await planRoute({ ...plan, signal });
  }

  #find(name: string): CatalogueEntry {
    const entry = this.#options.fleet.catalogue.find(name);
    if (entry !== undefined) return entry;
    throw unknownModel(name, this.#options.fleet);
  }

  #assertHas(name: string, entry: CatalogueEntry): void {
    const neuron = this.#options.fleet.findNeuron(name);
    if (neuron === undefined) throw unknownNeuron(name, this.#options.fleet.neurons);
    if (!neuron.loads) throw cannotLoad(`'${name}'`, neuron.kind);
    if (!neuron.serves) {
      throw new CortexError("unavailable", `Neuron '${name}' is down: ${neuron.cause}`, {
        retryAfterSeconds: 2,
      });
    }
    if (neuron.replicas.get(entry.source)?.report !== undefined) return;
    throw new CortexError("model_not_found", `Neuron '${name}' does not have '${entry.source}'`);
  }

  #assertReady(neuron: string, entry: CatalogueEntry): void {
    const state = this.#options.fleet.findReplica(neuron, entry.source)?.report?.state ?? "absent";
    if (state === "ready") return;
    throw new CortexError("conflict", `Model '${entry.id}' is ${state} on ${neuron}, not ready`, {
      hint: `cortex load ${entry.id} --neuron ${neuron}`,
    });
  }

  /** What is pinned, or what a profile keeps loaded, would be loaded again at once. */
  #assertMayGo(entry: CatalogueEntry, holders: readonly NeuronRecord[]): void {
    const { fleet } = this.#options;
    const isLoaded = (neuron: NeuronRecord) => {
      const report = neuron.replicas.get(entry.source)?.report;
      return report !== undefined && isWarm(report);
    };
    const loaded = holders.filter(isLoaded);
    if (loaded.length === 0) return;
    const pin = loaded.find(({ replicas }) => replicas.get(entry.source)?.report?.pinned);
    if (pin !== undefined) throw mustStay(entry, `is pinned on ${pin.name}`);
    const left = fleet
      .holders(entry)
      .filter((neuron) => neuron.takesLoads && isLoaded(neuron) && !loaded.includes(neuron));
    if (left.length >= entry.replicasMin) return;
    throw mustStay(entry, `is kept on ${entry.replicasMin} neurons by its profile`);
  }

  /** Files go from one place at a time: which one must be plain. */
  #onlyNeuron(entry: CatalogueEntry): string {
    this.#assertLoadable(entry);
    const names = [...this.#options.fleet.neurons]
      .filter((neuron) => neuron.loads && neuron.replicas.get(entry.source)?.report !== undefined)
      .map(({ name }) => name);
    const [only] = names;
    if (only !== undefined && names.length === 1) return only;
    const where = names.length === 0 ? "no neuron" : names.join(", ");
    throw new CortexError(
      "invalid_request",
      `Model '${entry.id}' is on ${where}: name one neuron`,
      {
        param: "neuron",
      },
    );
  }

  /** A model that only APIs have is there already and stays there. */
  #assertLoadable(entry: CatalogueEntry): void {
    const holders = [...this.#options.fleet.neurons].filter(
      (neuron) => neuron.replicas.get(entry.source)?.report !== undefined,
    );
    const [first] = holders;
    if (first === undefined || holders.some((neuron) => neuron.loads)) return;
    throw cannotLoad(`'${first.name}', which has '${entry.id}',`, first.kind);
  }

  #bestNeuron(entry: CatalogueEntry): string {
    const { fleet } = this.#options;
    const apis = new Set([...fleet.neurons].filter(({ loads }) => !loads).map(({ name }) => name));
    const choice = chooseRoute({
      prompt: { promptTokens: PROMPT_TOKENS_DEFAULT },
      warm: fleet.warmCandidates(entry, apis),
      cold: () => fleet.coldCandidates(entry, undefined),
      random: () => 0,
    });
    if (choice === undefined) throw fleet.explainNone(entry);
    return choice.neuron;
  }
}

function mustStay({ id }: CatalogueEntry, why: string): CortexError {
  return new CortexError("conflict", `Model '${id}' ${why}; force unloads it all the same`, {
    param: "force",
    hint: `cortex unload ${id} --force`,
  });
}

function cannotLoad(what: string, kind: string): CortexError {
  return new CortexError(
    "invalid_request",
    `${what} is an API of the kind '${kind}': its models are neither loaded nor unloaded`,
    { param: "neuron" },
  );
}
