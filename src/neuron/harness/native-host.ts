import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { openLibrary } from "../native/open-library.ts";
import type { OpenMessage, WorkerMessage } from "../worker/messages.ts";
import { startWorker } from "../worker/start-worker.ts";
import type { DeviceThread, DeviceThreadOptions, EngineHost, LoopEnd } from "./engine-host.ts";

/** The real engine: the library at `path`, initialised, with one Worker per device loop. */
export function openNativeHost(
  path: string,
  options: {
    readonly log: Log;
    readonly logLevel: "debug" | "info" | "warn" | "error";
    readonly testFaults: boolean;
  },
): EngineHost {
  const engine = openLibrary(path);
  // The engine tells several lines of each request as "info": that is our "debug".
  const engineLevel = { debug: "info", info: "warn", warn: "warn", error: "error" } as const;
  const level = engineLevel[options.logLevel];
  engine.init({ log_level: level, test_faults: options.testFaults });
  const bell = Bun.file(engine.eventFd()).stream().getReader();
  return {
    engine,
    doorbell: rings(bell),
    startThread: async (threadOptions) => {
      const worker = await startWorker(options);
      return await openThread(worker, path, threadOptions);
    },
    addRpcServer: (endpoint) => engine.init({ log_level: level, rpc_servers: [endpoint] }),
    close: () => bell.cancel(),
  };
}

async function* rings(bell: {
  read(): Promise<{ readonly done: boolean }>;
}): AsyncGenerator<undefined> {
  while (!(await bell.read()).done) yield;
}

function openThread(
  worker: Worker,
  library: string,
  options: DeviceThreadOptions,
): Promise<DeviceThread> {
  const ended = Promise.withResolvers<LoopEnd>();
  const opened = Promise.withResolvers<DeviceThread>();
  const die = (cause: string) => {
    opened.reject(new CortexError("internal", `Device '${options.name}' cannot start: ${cause}`));
    ended.resolve({ state: "died", cause });
  };
  worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
    if (data.type === "opened") opened.resolve({ handle: data.handle, ended: ended.promise });
    else if (data.type === "failed") die(data.cause);
    else if (data.type === "ended") {
      ended.resolve({ state: data.state });
      // Its loop is over, so no native code runs there any more.
      worker.terminate();
    }
  };
  worker.onerror = (event) => die(event.message);
  // After an orderly end this changes nothing: both promises are settled by then.
  worker.addEventListener("close", () => die("its Worker ended"));
  worker.postMessage({ library, options } satisfies OpenMessage);
  return opened.promise;
}
