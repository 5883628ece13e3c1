import { existsSync } from "node:fs";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { WorkerMessage } from "./messages.ts";

/** Where an executable made by `bun build --compile` keeps its modules. */
const EMBEDDED_ROOT = "/$bunfs/root/";
/** The Worker's file there: relative to the build's root folder, which is src or the repository. */
const EMBEDDED_ENTRIES = ["neuron/worker/entry.js", "src/neuron/worker/entry.js"];
/** A Worker's own code runs after some milliseconds, on a machine that is very busy after some hundred. */
const START_MS = 5_000;
const STARTS_MAX = 3;

export interface WorkerStart {
  readonly log: Log;
  /** Tests hand in Workers that do not start. */
  readonly create?: () => Worker;
  readonly startMs?: number;
}

/** Whether this code runs inside a compiled executable. */
export function isCompiled(): boolean {
  return import.meta.url.includes("/$bunfs/");
}

/**
 * Starts a device's Worker and resolves when its own code runs: only then it takes messages. One that does not come
 * so far is replaced.
 * @throws CortexError unavailable when none starts, or one ends at once
 */
export async function startWorker(options: WorkerStart): Promise<Worker> {
  const { log, create = createWorker, startMs = START_MS } = options;
  for (let tries = 1; tries <= STARTS_MAX; tries += 1) {
    const worker = create();
    if (await hasStarted(worker, startMs)) return worker;
    worker.terminate();
    log.warn("A device's Worker does not start", { tries, tries_max: STARTS_MAX, ms: startMs });
  }
  throw new CortexError("unavailable", `No Worker started in ${STARTS_MAX} tries of ${startMs} ms`);
}

/**
 * In a compiled executable every module's URL is that of the executable, so the file is named from the build's root;
 * scripts/build.ts lists src/neuron/worker/entry.ts as an entry point.
 */
function createWorker(): Worker {
  return new Worker(entryUrl(), { name: "neuron-device" });
}

function entryUrl(): string | URL {
  if (!isCompiled()) return new URL("./entry.ts", import.meta.url);
  const entry = EMBEDDED_ENTRIES.find((path) => existsSync(EMBEDDED_ROOT + path));
  return EMBEDDED_ROOT + (entry ?? EMBEDDED_ENTRIES[0]);
}

/** False when the time is over first. */
async function hasStarted(worker: Worker, startMs: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const over = setTimeout(() => resolve(false), startMs);
  const listening = new AbortController();
  const { signal } = listening;
  const fail = (cause: string) =>
    reject(new CortexError("unavailable", `A Worker ended: ${cause}`));
  const onMessage = ({ data }: MessageEvent<WorkerMessage>) => {
    if (data.type === "started") resolve(true);
  };
  worker.addEventListener("message", onMessage, { signal });
  worker.addEventListener("error", (event) => fail(event.message), { signal });
  worker.addEventListener("close", () => fail("without a word"), { signal });
  try {
    return await promise;
  } finally {
    clearTimeout(over);
    listening.abort();
  }
}
