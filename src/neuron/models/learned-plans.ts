import { mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Estimate } from "./plan.ts";

const ByDevice = t.Array(t.Object({ index: t.Integer(), bytes: t.Number() }), { maxItems: 128 });
const FileSchema = t.Object({
  version: t.Literal(1),
  loads: t.Array(
    t.Object({
      key: t.String({ maxLength: 256 }),
      context: t.Integer(),
      slots: t.Integer(),
      /** Real bytes less planned ones. */
      differences: ByDevice,
    }),
  ),
});
type Learned = (typeof FileSchema)["static"]["loads"][number];

/** What a load is remembered by. */
export interface LoadKey {
  readonly digest: string;
  readonly devices: string;
  readonly options: string;
}

/** Of loads that are remembered: a host has some dozens of models in a few shapes; the oldest are forgotten. */
const LOADS_MAX = 1_000;

/**
 * Remembers by how much real loads differed from their plans, in a file, and corrects later plans. Drivers take memory
 * that no plan knows of, and some plans are on the safe side.
 */
export class LearnedPlans {
  readonly #path: string;
  readonly #log: Log;
  /** The latest last. */
  readonly #loads = new Map<string, Learned>();
  #writing: Promise<void> = Promise.resolve();

  constructor(options: { readonly path: string; readonly log: Log }) {
    this.#path = options.path;
    this.#log = options.log;
  }

  /** Reads the file; one that is damaged is forgotten with a warning. */
  async read(): Promise<void> {
    const file = Bun.file(this.#path);
    if (!(await file.exists())) return;
    try {
      const content: unknown = await file.json();
      if (!Value.Check(FileSchema, content)) throw new Error("it is not of this version");
      for (const load of content.loads.slice(-LOADS_MAX)) this.#loads.set(load.key, load);
    } catch (error) {
      this.#log.warn(`Learned plans in ${this.#path} are not used`, {
        cause: describeError(error),
      });
    }
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
    const hash = hashOf(key);
    const before = this.#loads.get(hash);
    const { context, slots } = planned;
    const learned: Learned = { key: hash, context, slots, differences };
    this.#loads.delete(hash);
    this.#loads.set(hash, learned);
    for (const oldest of this.#loads.keys()) {
      if (this.#loads.size <= LOADS_MAX) break;
      this.#loads.delete(oldest);
    }
    if (before !== undefined && Bun.deepEquals(before, learned)) return;
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    const part = `${this.#path}.${process.pid}.part`;
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      await Bun.write(part, JSON.stringify({ version: 1, loads: [...this.#loads.values()] }));
      await rename(part, this.#path);
    } catch (error) {
      this.#log.warn(`Learned plans are not kept in ${this.#path}`, {
        cause: describeError(error),
      });
    }
  }
}

function hashOf({ digest, devices, options }: LoadKey): string {
  return new Bun.CryptoHasher("sha256").update(`${digest}\0${devices}\0${options}`).digest("hex");
}
