import { type Static, Type as t } from "@sinclair/typebox";
import type { NativeJob } from "bun-ffi-cuda-bindings-local/engine";
import type { Log } from "../../base/log.ts";
import { DeviceBytesSchema, type ModelBytes } from "../../protocol/models.ts";
import { hashKey, KeptList } from "./kept-list.ts";
import type { Estimate } from "./plan.ts";

const EstimateSchema = t.Object({
  context: t.Integer(),
  slots: t.Integer(),
  devices: t.Array(DeviceBytesSchema, { minItems: 1, maxItems: 128 }),
});

/** What an estimate is made of: all that may change a byte of it. */
export interface EstimateOf {
  readonly job: NativeJob;
  /** Of the model's file and its draft's. */
  readonly digests: readonly string[];
  readonly devices: readonly number[];
}

/**
 * Remembers estimates in a file, because a load without allocation costs a start a tenth of its time. They hold for one
 * library on one boot of a machine.
 */
export class KeptEstimates {
  readonly #engine: string | undefined;
  readonly #estimates: KeptList<typeof EstimateSchema>;

  /** `engine` names library, machine and boot; nothing is remembered where that cannot be told. */
  constructor(options: {
    readonly path: string;
    readonly engine: string | undefined;
    readonly log: Log;
  }) {
    this.#engine = options.engine;
    this.#estimates = new KeptList({ ...options, entry: EstimateSchema });
  }

  async read(): Promise<void> {
    if (this.#engine !== undefined) await this.#estimates.read();
  }

  find(of: EstimateOf): Estimate | undefined {
    const key = this.#keyOf(of);
    const kept = key === undefined ? undefined : this.#estimates.get(key);
    return kept && estimateFrom(kept);
  }

  /** Resolves when it is written. */
  async keep(of: EstimateOf, { context, slots, devices }: Estimate): Promise<void> {
    const key = this.#keyOf(of);
    if (key === undefined) return;
    const parts = devices.map(({ index, weights, context, compute }) => {
      return { index, weights, context, compute };
    });
    await this.#estimates.set(key, { context, slots, devices: parts });
  }

  #keyOf({ job, digests, devices }: EstimateOf): string | undefined {
    if (this.#engine === undefined) return undefined;
    return hashKey([this.#engine, JSON.stringify(job), ...digests, devices.join()]);
  }
}

function estimateFrom({ context, slots, devices }: Static<typeof EstimateSchema>): Estimate {
  const sum = (part: keyof ModelBytes) => devices.reduce((all, device) => all + device[part], 0);
  return {
    bytes: { weights: sum("weights"), context: sum("context"), compute: sum("compute") },
    devices: devices.map((device) => {
      return { ...device, bytes: device.weights + device.context + device.compute };
    }),
    ...{ context, slots },
  };
}
