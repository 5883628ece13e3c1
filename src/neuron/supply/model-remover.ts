import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Removal } from "../../protocol/removals.ts";
import type { ModelRegistry } from "../models/registry.ts";
import { planRemoval, type RemovalPlace, type RemovalPlan } from "./plan-removal.ts";
import { runRemoval } from "./run-removal.ts";
import type { UseMarks } from "./use-marks.ts";

export interface RemoveOptions {
  /** Unloads it first where it is loaded or pinned. */
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
}

/** Removes pulled models for callers, where `[supply] remove` lets them; files of others stay in any case. */
export class ModelRemover {
  readonly #isAllowed: boolean;
  readonly #place: RemovalPlace;
  readonly #registry: ModelRegistry;
  readonly #marks: UseMarks;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(parts: {
    readonly isAllowed: boolean;
    readonly place: RemovalPlace;
    readonly registry: ModelRegistry;
    readonly marks: UseMarks;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#isAllowed = parts.isAllowed;
    this.#place = parts.place;
    this.#registry = parts.registry;
    this.#marks = parts.marks;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** @throws CortexError forbidden, model_not_found, or conflict for what is in use or not ours */
  async remove(name: string, options: RemoveOptions): Promise<Removal> {
    if (!this.#isAllowed) {
      throw new CortexError("forbidden", "Removal by request is off here: supply.remove is false", {
        hint: "cortex rm on the neuron's own host, or [supply] remove = true in neuron.toml",
      });
    }
    const plan = await planRemoval(name, this.#place);
    if (plan.record === undefined) {
      throw new CortexError("conflict", `Model '${plan.model}' was not pulled by cortex`, {
        hint: `cortex rm ${plan.model} --force on the neuron's own host`,
      });
    }
    const mustUnload = this.#checkUse(plan, options);
    if (options.dryRun) return describe(plan, { unloaded: mustUnload });
    if (mustUnload) await this.#unload(plan, options.signal);
    const { store } = this.#place;
    const freed = await runRemoval(plan, { store, clock: this.#clock, signal: options.signal });
    await this.#place.catalogue.scan();
    this.#log.info("Model removed", {
      ...{ model: plan.model, source: plan.record.source, freed_bytes: freed },
    });
    return { ...describe(plan, { unloaded: mustUnload }), freed_bytes: freed };
  }

  /** Whether it must be unloaded first. */
  #checkUse({ model, record }: RemovalPlan, { force }: RemoveOptions): boolean {
    const [user] = record === undefined ? [] : this.#marks.usersOf(record);
    if (user === undefined) return false;
    const drafted = this.#marks.drafterFor(user);
    if (drafted !== undefined) {
      throw new CortexError("conflict", `Model '${model}' drafts for '${drafted.id}'`, {
        hint: `cortex unload ${drafted.id}`,
      });
    }
    if (!force) {
      const why = user.pinned ? "pinned" : user.state;
      throw new CortexError("conflict", `Model '${model}' is ${why}; force unloads it first`, {
        param: "force",
        hint: `cortex rm ${model} --force, or cortex unload ${model}`,
      });
    }
    return user.isResident || user.state === "loading";
  }

  async #unload({ model, record }: RemovalPlan, signal: AbortSignal): Promise<void> {
    if (record === undefined) return;
    for (const user of this.#marks.usersOf(record)) {
      await this.#registry.unload({ model: user.id }, signal);
    }
    // Somebody may have asked for it meanwhile; a pin alone takes no memory.
    const back = this.#marks
      .usersOf(record)
      .find((user) => user.isResident || user.state === "loading");
    if (back === undefined) return;
    throw new CortexError("conflict", `Model '${model}' was unloaded and is ${back.state} again`, {
      retryAfterSeconds: 5,
    });
  }
}

function describe(plan: RemovalPlan, { unloaded }: { readonly unloaded: boolean }): Removal {
  return {
    model: plan.model,
    ...(plan.record === undefined ? {} : { source: plan.record.source }),
    unloaded,
    files: [...plan.files],
    kept: [...plan.kept],
    freed_bytes: plan.files.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
