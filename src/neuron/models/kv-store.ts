import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";
import type { Model } from "./model.ts";

/**
 * Keeps the KV of unloaded models in files, so that a reload starts with warm prefixes. A file is used once and only
 * for the same model file, context and slots.
 */
export class KvStore {
  readonly #folder: string;
  readonly #log: Log;
  /** Files that this process wrote, by model id; others are never trusted. */
  readonly #saved = new Map<string, string>();

  constructor(options: { readonly folder: string; readonly log: Log }) {
    this.#folder = options.folder;
    this.#log = options.log;
  }

  /** Removes what processes that are gone have left behind. */
  async removeStale(): Promise<void> {
    // Without the folder there is nothing to remove.
    const files = await readdir(this.#folder).catch(() => []);
    for (const file of files) {
      const owner = /^([0-9]+)-.*\.kv$/.exec(file)?.[1];
      if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
      await rm(join(this.#folder, file), { force: true });
    }
  }

  /** Saves a ready model's KV before it is unloaded; a failure costs the warm prefixes alone. */
  async save(model: Model): Promise<void> {
    const loop = model.placement?.loop;
    if (loop === undefined) return;
    const path = this.#pathOf(model);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await loop.job({ op: "kv_save", model: model.id, path });
      this.#saved.set(model.id, path);
    } catch (error) {
      this.#log.warn("KV not saved", { model: model.id, cause: describeError(error) });
    }
  }

  /** Brings back what was saved under the same parameters, if anything was. */
  async restore(model: Model, loop: DeviceLoop): Promise<void> {
    const path = this.#saved.get(model.id);
    if (path === undefined) return;
    this.#saved.delete(model.id);
    try {
      if (path === this.#pathOf(model)) {
        await loop.job({ op: "kv_restore", model: model.id, path });
      }
    } catch (error) {
      this.#log.warn("KV not restored", { model: model.id, cause: describeError(error) });
    } finally {
      await rm(path, { force: true });
    }
  }

  /** Removes the files of this process. */
  async stop(): Promise<void> {
    for (const path of this.#saved.values()) await rm(path, { force: true });
    this.#saved.clear();
  }

  #pathOf(model: Model): string {
    const shape = `${model.loaded?.context}x${model.loaded?.slots}`;
    const digest = model.entry.digest.slice(-16);
    return join(this.#folder, `${process.pid}-${model.id}-${digest}-${shape}.kv`);
  }
}
