import type { DeviceHandle, NativeEngine } from "bun-ffi-cuda-bindings-local/engine";

/** How a device's loop ended. */
export type LoopEnd =
  | { readonly state: "stopped" }
  | { readonly state: "poisoned" }
  /** The Worker itself failed; the engine's state of the device is out of reach. */
  | { readonly state: "died"; readonly cause: string };

/** A device loop that runs on a thread of its own. */
export interface DeviceThread {
  readonly handle: DeviceHandle;
  /** Resolves once, when the loop is over. Stop it with engine.stopDevice(handle). */
  readonly ended: Promise<LoopEnd>;
}

export interface DeviceThreadOptions {
  readonly devices: readonly number[];
  readonly name: string;
  readonly requestsMax: number;
  /** How long a stream's next token may wait for prompts of others. */
  readonly stepMs: number;
  /** What preparing one request may take. */
  readonly prepareMs: number;
  /** CPUs that its threads keep to; all when left out. */
  readonly cpus?: readonly number[];
  /** Whose memory is preferred. */
  readonly numaNode?: number;
}

/**
 * The engine as the daemon needs it: the surface for the main thread, its doorbell, and a way to run a device loop on
 * another thread. Production opens the native library; tests hand in a fake.
 */
export interface EngineHost {
  readonly engine: NativeEngine;
  /** Yields whenever events may be ready to drain. */
  readonly doorbell: AsyncIterable<unknown>;
  /** Starts are serialised by the caller: several Workers that open a library at once have crashed. */
  startThread(options: DeviceThreadOptions): Promise<DeviceThread>;
  /**
   * Takes the devices of an RPC server into the engine's list; blocks for a moment.
   * @throws NativeError when it cannot be reached
   */
  addRpcServer(endpoint: string): void;
  /** Ends the doorbell; called last. */
  close(): Promise<void>;
}
