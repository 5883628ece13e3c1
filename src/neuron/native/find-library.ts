import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cacheFolder } from "../../base/cache-folder.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { isCompiled } from "../worker/start-worker.ts";
import { extractLibrary, findEmbeddedLibrary } from "./embedded-library.ts";
import type { ProbeReport } from "./probe.ts";
import { describeMachine, tryOnce } from "./remembered-probe.ts";
import { tryLibrary } from "./try-library.ts";

const CUDA_LIBRARY = "libneuron_cuda.so";
const CPU_LIBRARY = "libneuron_cpu.so";
/** Where the packages put theirs, seen from the folder of the executable: /usr/bin. */
const PACKAGED_FOLDERS = ["../lib64/helexa-neuron", "../lib/helexa-neuron"];
const PACKAGED_EXECUTABLES = "/usr/bin";

/** What the search may use; tests hand in their own. */
export interface LibrarySearch {
  readonly folders: readonly string[];
  readonly exists: (path: string) => boolean;
  readonly tryLibrary: (path: string) => Promise<ProbeReport>;
  /** Writes the library that came inside the executable; undefined when there is none. */
  readonly extractEmbedded: () => Promise<string | undefined>;
}

/**
 * Finds the native library and says in one line which one it is and why.
 *  1. the configured path, unless it cannot be used on this host: then a warning says why, and the search goes on
 *  2. CUDA's in any folder, when it loads and finds a device
 *  3. the CPU's in any folder
 *  4. the CPU's inside the executable
 * A library of another version of cortex is passed over with a warning of its own.
 * @throws CortexError when none can be loaded
 */
export async function findLibrary(
  configured: string | undefined,
  options: { readonly log: Log; readonly search?: LibrarySearch },
): Promise<string> {
  const search = options.search ?? machineSearch(options.log);
  const rejected: string[] = [];
  const reject = (path: string, cause: string, report: ProbeReport) => {
    if (!report.ok && report.isStale === true) {
      options.log.warn("A native library of another version is not used", { path, cause });
    }
    rejected.push(`${path}: ${cause}`);
  };
  if (configured !== undefined) {
    const path = await useConfigured(configured, search, options.log);
    if (path !== undefined) return path;
  }
  for (const path of candidates(CUDA_LIBRARY, search)) {
    if (path === configured) continue;
    const report = await search.tryLibrary(path);
    const hasDevice = report.ok && report.deviceKinds.some((kind) => kind !== "cpu");
    if (hasDevice) return choose(options.log, { path, why: "it found a GPU", report, rejected });
    reject(path, report.ok ? "no GPU found" : report.cause, report);
  }
  for (const path of candidates(CPU_LIBRARY, search)) {
    if (path === configured) continue;
    const report = await search.tryLibrary(path);
    if (report.ok) return choose(options.log, { path, why: "CPU only", report, rejected });
    reject(path, report.cause, report);
  }
  const path = await search.extractEmbedded();
  if (path !== undefined) {
    const report = await search.tryLibrary(path);
    const why = "CPU only, came with the executable";
    if (report.ok) return choose(options.log, { path, why, report, rejected });
    reject(path, report.cause, report);
  }
  throw new CortexError(
    "unavailable",
    rejected.length === 0
      ? `No native library found in ${search.folders.join(", ")}`
      : `No native library can be loaded: ${rejected.join("; ")}`,
    { hint: "Build one with: bun run build:native" },
  );
}

/** Undefined, after one line that says why, when the library cannot be used here. */
async function useConfigured(
  path: string,
  search: LibrarySearch,
  log: Log,
): Promise<string | undefined> {
  if (!search.exists(path)) {
    throw new CortexError("invalid_config", `Native library ${path} does not exist`);
  }
  const report = await search.tryLibrary(path);
  const isUseless =
    report.ok &&
    report.backends.includes("CUDA") &&
    report.deviceKinds.every((kind) => kind === "cpu");
  if (report.ok && !isUseless) {
    return choose(log, { path, why: "it is configured", report, rejected: [] });
  }
  const cause = report.ok ? "no GPU found" : report.cause;
  log.warn("The configured native library cannot be used", { path, cause });
  return undefined;
}

function choose(
  log: Log,
  choice: {
    readonly path: string;
    readonly why: string;
    readonly report: ProbeReport & { readonly ok: true };
    readonly rejected: readonly string[];
  },
): string {
  log.info("Native library chosen", {
    path: choice.path,
    why: choice.why,
    flavour: choice.report.flavour,
    backends: choice.report.backends.join(","),
    rejected: choice.rejected.length === 0 ? undefined : choice.rejected.join("; "),
  });
  return choice.path;
}

function candidates(name: string, search: LibrarySearch): string[] {
  return search.folders.map((folder) => join(folder, name)).filter((path) => search.exists(path));
}

function machineSearch(log: Log): LibrarySearch {
  const beside = dirname(process.execPath);
  const checkout = join(import.meta.dir, "../../../cuda/lib");
  // An executable that came by another way, or is no executable, may use what is installed.
  const origins = isCompiled() ? [beside, PACKAGED_EXECUTABLES] : [PACKAGED_EXECUTABLES];
  const packaged = origins.flatMap((from) => PACKAGED_FOLDERS.map((path) => join(from, path)));
  const own = isCompiled() ? [beside, join(beside, "lib")] : [checkout];
  return {
    folders: [...new Set([...own, ...packaged])],
    exists: existsSync,
    tryLibrary: async (path) => {
      if (basename(path) !== CPU_LIBRARY) return await tryLibrary(path);
      return await tryOnce(path, {
        record: join(cacheFolder(), "probe.json"),
        tryLibrary,
        machine: describeMachine,
        files: [process.execPath],
        log,
      });
    },
    extractEmbedded: async () => {
      const library = findEmbeddedLibrary();
      return library && (await extractLibrary(library, cacheFolder()));
    },
  };
}
