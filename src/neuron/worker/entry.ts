import { describeError } from "../../base/errors.ts";
import { openLibrary } from "../native/open-library.ts";
import type { OpenMessage, WorkerMessage } from "./messages.ts";

declare const self: Worker;

/** Bounds how long the thread is away from its own event loop; a stop does not wait for it. */
const SLICE_MS = 50;

/** Opens the device on this thread and stays in its loop until stopDevice is called from the main thread. */
async function runDevice({ library, options }: OpenMessage): Promise<void> {
  const engine = openLibrary(library);
  const handle = engine.openDevice({
    devices: options.devices,
    name: options.name,
    requests_max: options.requestsMax,
    step_ms: options.stepMs,
    prepare_ms: options.prepareMs,
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
    ...(options.numaNode === undefined ? {} : { numa_node: options.numaNode }),
  });
  send({ type: "opened", handle });
  let state = engine.runDevice(handle, SLICE_MS);
  while (state === "again") {
    // Between slices the Worker's own event loop gets a turn.
    await new Promise<void>((resolve) => setImmediate(resolve));
    state = engine.runDevice(handle, SLICE_MS);
  }
  // A poisoned device's state is left alone: freeing it may fault again, and the process ends soon.
  if (state === "stopped") engine.closeDevice(handle);
  send({ type: "ended", state });
}

function send(message: WorkerMessage): void {
  self.postMessage(message);
}

self.onmessage = (event: MessageEvent<OpenMessage>) => {
  runDevice(event.data).catch((error) => send({ type: "failed", cause: describeError(error) }));
};
send({ type: "started" });
