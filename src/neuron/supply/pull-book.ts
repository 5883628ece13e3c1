import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { HubConnection } from "../../hub/hub-request.ts";
import { formatHubSource, type HubSource, ownerOf, parseHubSource } from "../../hub/hub-source.ts";
import type { HubStore } from "../../hub/hub-store.ts";
import { type PullProgress, planPull, runPull } from "../../hub/pull-model.ts";
import type { FoundRecord } from "../../hub/pull-record.ts";
import type { Pull, PullRequest } from "../../protocol/pulls.ts";

/** What pulls are allowed, after `[supply]`. */
export interface PullRules {
  readonly pull: boolean;
  /** Empty allows all. */
  readonly owners: readonly string[];
  readonly disk_bytes_max: number;
}

export interface PullListener {
  /** A pull's state or figures changed. */
  onPull(pull: Pull): void;
  /** The ids of the models that lie at these paths now. */
  onFiles(paths: readonly string[]): Promise<readonly string[]>;
  onEnd(pull: Pull, fetchedBytes: number): void;
}

/** A download's speed is its network's: more at once share it. */
const RUNNING_MAX = 2;
/** Of pulls that have not ended, running ones included. */
const OPEN_MAX = 16;
/** Of ended pulls that are still told of. */
const ENDED_KEPT_MAX = 32;
/** Figures are told twice a second. */
const TELL_MS = 500;
/** Weight of the newest sample in the speed that is told. */
const SPEED_WEIGHT = 0.2;

interface OpenPull {
  view: Pull;
  readonly key: string;
  readonly source: HubSource;
  readonly projector: boolean;
  readonly abort: AbortController;
  /** Resolves when the hub has said which files it will be. */
  readonly planned: PromiseWithResolvers<void>;
  ended: Promise<void>;
  told: { atMs: number; bytes: number };
}

/** Owner of the downloads that callers asked for: starts, queues, tells of and cancels them. */
export class PullBook {
  readonly #rules: PullRules;
  readonly #store: HubStore;
  readonly #connect: () => Promise<HubConnection>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listener: PullListener;
  readonly #isInUse: (record: FoundRecord) => boolean;
  readonly #open = new Map<string, OpenPull>();
  readonly #turns: (() => void)[] = [];
  #ended: Pull[] = [];
  #running = 0;

  constructor(parts: {
    readonly rules: PullRules;
    readonly store: HubStore;
    /** Reads the hub's settings anew for each pull, so that a new token needs no restart. */
    readonly connect: () => Promise<HubConnection>;
    readonly clock: Clock;
    readonly log: Log;
    readonly listener: PullListener;
    readonly isInUse: (record: FoundRecord) => boolean;
  }) {
    this.#rules = parts.rules;
    this.#store = parts.store;
    this.#connect = parts.connect;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#listener = parts.listener;
    this.#isInUse = parts.isInUse;
  }

  /** Running and queued ones first, then the ended ones, newest first. */
  list(): readonly Pull[] {
    return [...[...this.#open.values()].map((pull) => pull.view), ...this.#ended];
  }

  /**
   * Starts a pull, or joins the one of the same source. `planned` settles when the hub has said what there is, and
   * rejects with what the caller should be told at once.
   * @throws CortexError forbidden, invalid_request, queue_full
   */
  start(request: PullRequest): { readonly id: string; readonly planned: Promise<void> } {
    const source = this.#check(request.source);
    const projector = request.projector ?? true;
    const key = `${formatHubSource(source)} ${projector}`;
    const same = [...this.#open.values()].find((pull) => pull.key === key);
    if (same !== undefined) return { id: same.view.id, planned: same.planned.promise };
    if (this.#open.size >= OPEN_MAX) {
      throw new CortexError("queue_full", `${OPEN_MAX} pulls are under way already`, {
        retryAfterSeconds: 60,
      });
    }
    const nowMs = this.#clock.nowMs();
    const pull: OpenPull = {
      view: {
        id: newId("pull"),
        source: formatHubSource(source),
        state: "queued",
        files: [],
        bytes_total: 0,
        bytes_done: 0,
        started_ms: nowMs,
      },
      ...{ key, source, projector },
      abort: new AbortController(),
      planned: Promise.withResolvers<void>(),
      ended: Promise.resolve(),
      told: { atMs: this.#clock.monotonicMs(), bytes: 0 },
    };
    // A caller that left must not turn a failed plan into an unhandled rejection.
    pull.planned.promise.catch(() => undefined);
    this.#open.set(pull.view.id, pull);
    this.#tell(pull, {});
    pull.ended = this.#run(pull);
    return { id: pull.view.id, planned: pull.planned.promise };
  }

  /** @throws CortexError model_not_found */
  require(id: string): Pull {
    const found = this.list().find((pull) => pull.id === id);
    if (found !== undefined) return found;
    throw new CortexError("model_not_found", `There is no pull '${id.slice(0, 64)}'`, {
      hint: "GET /models/pulls lists them",
    });
  }

  /** Ends a pull; what has arrived is kept for the next one. @throws CortexError model_not_found, conflict */
  async cancel(id: string): Promise<Pull> {
    const pull = this.#open.get(id);
    if (pull === undefined) {
      const { state } = this.require(id);
      throw new CortexError("conflict", `Pull '${id}' has ended already: ${state}`);
    }
    pull.abort.abort(new CortexError("cancelled", "The pull was cancelled"));
    await pull.ended;
    return pull.view;
  }

  /** Ends all; part of a stop. */
  async stop(): Promise<void> {
    const open = [...this.#open.values()];
    for (const { abort } of open) {
      abort.abort(new CortexError("cancelled", "The neuron stops"));
    }
    await Promise.all(open.map((pull) => pull.ended));
  }

  #check(text: string): HubSource {
    if (!this.#rules.pull) {
      throw new CortexError("forbidden", "Pulls by request are off here: supply.pull is false", {
        hint: "cortex pull on the neuron's own host, or [supply] pull = true in neuron.toml",
      });
    }
    const source = parseHubSource(text);
    const owner = ownerOf(source).toLowerCase();
    const { owners } = this.#rules;
    if (owners.length > 0 && !owners.some((allowed) => allowed.toLowerCase() === owner)) {
      throw new CortexError(
        "forbidden",
        `Owner '${ownerOf(source)}' is not in supply.owners: ${owners.join(", ")}`,
        { param: "source" },
      );
    }
    return source;
  }

  async #run(pull: OpenPull): Promise<void> {
    let fetchedBytes = 0;
    try {
      fetchedBytes = await this.#pull(pull);
    } catch (error) {
      pull.planned.reject(error);
      const state = pull.abort.signal.aborted ? "cancelled" : "failed";
      const code = error instanceof CortexError ? error.code : "internal";
      const failure = { code, message: describeError(error) };
      this.#end(pull, state === "failed" ? { state, error: failure } : { state });
      this.#log.warn("Model not pulled", { source: pull.view.source, cause: failure.message });
    }
    this.#listener.onEnd(pull.view, fetchedBytes);
  }

  async #pull(pull: OpenPull): Promise<number> {
    const { source, projector } = pull;
    const { signal } = pull.abort;
    const connection = await this.#connect();
    const plan = await planPull(source, { connection, projector, signal });
    this.#tell(pull, {
      commit: plan.listing.commit,
      files: plan.files.map(({ path, bytes }) => ({ path, bytes })),
      bytes_total: plan.totalBytes,
    });
    pull.planned.resolve();
    await this.#takeTurn(signal);
    try {
      this.#tell(pull, { state: "running" });
      const result = await runPull(plan, {
        ...{ store: this.#store, connection, signal },
        budgetBytes: this.#rules.disk_bytes_max,
        isInUse: this.#isInUse,
        onProgress: (progress) => this.#advance(pull, progress),
        onNote: (text) => this.#log.info(text, { source: pull.view.source }),
      });
      const models = [...(await this.#listener.onFiles(result.paths))];
      this.#end(pull, { state: "done", bytes_done: plan.totalBytes, models });
      this.#log.info("Model pulled", {
        source: pull.view.source,
        models: models.join(","),
        fetched_bytes: result.fetchedBytes,
      });
      return result.fetchedBytes;
    } finally {
      this.#giveTurn();
    }
  }

  #advance(pull: OpenPull, progress: PullProgress): void {
    const atMs = this.#clock.monotonicMs();
    const elapsedMs = atMs - pull.told.atMs;
    if (elapsedMs < TELL_MS) return;
    const bytes = progress.doneBytes - pull.told.bytes;
    const now = Math.max(0, (bytes * 1000) / elapsedMs);
    const before = pull.view.bytes_per_second;
    // The first sample has what an earlier run left in it.
    const speed = before === undefined ? undefined : before + SPEED_WEIGHT * (now - before);
    const first = pull.told.bytes === 0 ? {} : { bytes_per_second: Math.round(now) };
    pull.told = { atMs, bytes: progress.doneBytes };
    this.#tell(pull, {
      bytes_done: progress.doneBytes,
      ...(speed === undefined ? first : { bytes_per_second: Math.round(speed) }),
    });
  }

  #tell(pull: OpenPull, change: Partial<Pull>): void {
    pull.view = { ...pull.view, ...change };
    this.#listener.onPull(pull.view);
  }

  #end(pull: OpenPull, change: Partial<Pull>): void {
    const { bytes_per_second: _, ...rest } = pull.view;
    pull.view = { ...rest, ...change, ended_ms: this.#clock.nowMs() };
    this.#open.delete(pull.view.id);
    this.#ended = [pull.view, ...this.#ended].slice(0, ENDED_KEPT_MAX);
    this.#listener.onPull(pull.view);
  }

  async #takeTurn(signal: AbortSignal): Promise<void> {
    while (this.#running >= RUNNING_MAX) {
      await new Promise<void>((resolve) => {
        this.#turns.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      signal.throwIfAborted();
    }
    this.#running += 1;
  }

  #giveTurn(): void {
    this.#running -= 1;
    // One that was cancelled meanwhile does not take its turn; so all look, in order.
    for (const wake of this.#turns.splice(0)) wake();
  }
}
