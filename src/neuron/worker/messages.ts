import type { DeviceThreadOptions } from "../harness/engine-host.ts";

/** The only message to a device's Worker: what to open and run. */
export interface OpenMessage {
  readonly library: string;
  readonly options: DeviceThreadOptions;
}

/** What a device's Worker says: that its code runs, opened once, then how its loop ended. */
export type WorkerMessage =
  | { readonly type: "started" }
  | { readonly type: "opened"; readonly handle: bigint }
  | { readonly type: "ended"; readonly state: "stopped" | "poisoned" }
  | { readonly type: "failed"; readonly cause: string };
