import { Type as t } from "@sinclair/typebox";
import type { Log } from "../../base/log.ts";
import { hashKey, KeptList } from "./kept-list.ts";
import type { Estimate } from "./plan.ts";

const LearnedSchema = t.Object({
  context: t.Integer(),
  slots: t.Integer(),
  /** Real bytes less planned ones. */
  differences: t.Array(t.Object({ index: t.Integer(), bytes: t.Number() }), { maxItems: 128 }),
});

/** What a load is remembered by. */
export interface LoadKey {
  readonly digest: string;
  readonly devices: string;
  readonly options: string;
}

/**
 * Remembers by how much real loads differed from their plans, in a file, and corrects later plans. Drivers take memory
 * that no plan knows of, and some plans are on the safe side.
 */
export class LearnedPlans {
  readonly #loads: KeptList<typeof LearnedSchema>;

  constructor(options: { readonly path: string; readonly log: Log }) {
    this.#loads = new KeptList({ ...options, entry: LearnedSchema });
  }

  read(): Promise<void> {
    return this.#loads.read();
  }

  /**
   * A plan as experience says: what was taken beyond the plan is added in every shape, what was spared is taken off in
   * the very same shape alone.
   */
  correct(estimate: Estimate, key: LoadKey): Estimate {
    const learned = this.#loads.get(hashOf(key));
    if (learned === undefined) return estimate;
    const isSame = learned.context === estimate.context && learned.slots === estimate.slots;
    const devices = estimate.devices.map((device) => {
      const found = learned.differences.find(({ index }) => index === device.index);
      const difference = found === undefined ? 0 : isSame ? found.bytes : Math.max(0, found.bytes);
      return { ...device, bytes: Math.max(0, device.bytes + difference) };
    });
    return { ...estimate, devices };
  }

  /** Takes in what a load really took; resolves when it is written. */
  async learn(
    planned: Estimate,
    key: LoadKey,
    real: readonly { readonly index: number; readonly bytes: number }[],
  ): Promise<void> {
    const differences = real.map(({ index, bytes }) => {
      const plan = planned.devices.find((device) => device.index === index);
      return { index, bytes: bytes - (plan?.bytes ?? 0) };
    });
    const { context, slots } = planned;
    await this.#loads.set(hashOf(key), { context, slots, differences });
  }
}

function hashOf({ digest, devices, options }: LoadKey): string {
  return hashKey([digest, devices, options]);
}
