import { existsSync } from "node:fs";

/** Where an executable made by `bun build --compile` keeps its modules. */
const EMBEDDED_ROOT = "/$bunfs/root/";
/** The Worker's file there: relative to the build's root folder, which is src or the repository. */
const EMBEDDED_ENTRIES = ["neuron/worker/entry.js", "src/neuron/worker/entry.js"];

/** Whether this code runs inside a compiled executable. */
export function isCompiled(): boolean {
  return import.meta.url.includes("/$bunfs/");
}

/**
 * Starts a device's Worker. In a compiled executable every module's URL is that of the executable, so the file is
 * named from the build's root; scripts/build.ts lists src/neuron/worker/entry.ts as an entry point.
 */
export function startWorker(): Worker {
  return new Worker(entryUrl(), { name: "neuron-device" });
}

function entryUrl(): string | URL {
  if (!isCompiled()) return new URL("./entry.ts", import.meta.url);
  const entry = EMBEDDED_ENTRIES.find((path) => existsSync(EMBEDDED_ROOT + path));
  return EMBEDDED_ROOT + (entry ?? EMBEDDED_ENTRIES[0]);
}
