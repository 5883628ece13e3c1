import type { Clock } from "../../base/clock.ts";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { HubStore } from "../../hub/hub-store.ts";
import { type FoundRecord, readRecords, touchRecord } from "../../hub/pull-record.ts";
import type { Model } from "../models/model.ts";
import type { ModelRegistry } from "../models/registry.ts";

/** Three times within the span in which a model counts as in use for processes that cannot ask. */
const MARK_MS = 3 * 60 * 1000;

/**
 * Notes beside pulled files that their models are in use here, so that no pull, of this process or another, makes room
 * at their cost; the notes are also what least recently used goes by.
 */
export class UseMarks {
  readonly #store: HubStore;
  readonly #registry: ModelRegistry;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(parts: {
    readonly store: HubStore;
    readonly registry: ModelRegistry;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#store = parts.store;
    this.#registry = parts.registry;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Whether a model of these files is loaded, on its way there, or pinned. */
  isInUse(record: FoundRecord): boolean {
    return this.usersOf(record).length > 0;
  }

  /** The models of these files that are loaded, on their way there, pinned, or draft for one that is loaded. */
  usersOf(record: FoundRecord): readonly Model[] {
    const names = new Set(record.files.flatMap(({ blob }) => [`sha256:${blob}`, `git:${blob}`]));
    return this.#registry
      .models()
      .filter(({ entry }) => entry.identity.split(",").some((each) => names.has(each)))
      .filter(
        (model) =>
          model.isResident ||
          model.state === "loading" ||
          model.pinned ||
          this.drafterFor(model) !== undefined,
      );
  }

  /** The loaded model whose answers this one drafts. */
  drafterFor({ id }: Model): Model | undefined {
    return this.#registry.models().find(({ placement }) => placement?.speculation === id);
  }

  /** Marks what is in use now. A mark that fails is noted and costs a place in the order of use at most. */
  async mark(): Promise<void> {
    try {
      const records = await readRecords(this.#store);
      for (const record of records.filter((each) => this.isInUse(each))) {
        await touchRecord(this.#store, record, this.#clock.nowMs());
      }
    } catch (error) {
      this.#log.warn("Use of pulled models not noted", { cause: describeError(error) });
    }
  }

  /** Marks every few minutes until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.mark();
      try {
        await this.#clock.sleep(MARK_MS, signal);
      } catch {
        // Only a stop ends the sleep early.
        return;
      }
    }
  }
}
