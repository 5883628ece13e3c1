import type {
  DeviceFigures,
  NativeEngine,
  NativeEvent,
  NativeJob,
  SubmitKind,
} from "bun-ffi-cuda-bindings-local/engine";
import type { EventListener, EventPump } from "../native/event-pump.ts";
import type { DeviceThread } from "./engine-host.ts";
import { EngineError, failureOf, parseFailure } from "./failure.ts";

/** What runs on a device: the kind of request, the model by its id, and a checked body. */
export interface Submission {
  readonly kind: SubmitKind;
  readonly model: string;
  readonly body: string;
}

/** Jobs that may keep a device for minutes; everything else waits for their end. */
const LONG_JOBS: readonly string[] = ["load", "unload", "kv_save", "kv_restore"];

/** Longer than a step of any model that is worth waiting for. */
const AWAY_MS = 5_000;

/** Progress of a load, 0 to 1. */
export type ProgressListener = (value: number) => void;

/**
 * A running loop over one device, or over the devices that hold a model together. Owner of the list of requests that
 * are open on it.
 */
export class DeviceLoop {
  readonly #engine: NativeEngine;
  readonly #pump: EventPump;
  readonly #thread: DeviceThread;
  readonly #open = new Set<number>();
  /** Of the open ones, jobs that may take long. */
  readonly #long = new Set<number>();
  #state: "ok" | "poisoned" | "stopped" = "ok";

  constructor(
    readonly name: string,
    readonly devices: readonly number[],
    parts: {
      readonly engine: NativeEngine;
      readonly pump: EventPump;
      readonly thread: DeviceThread;
    },
  ) {
    this.#engine = parts.engine;
    this.#pump = parts.pump;
    this.#thread = parts.thread;
  }

  get state(): "ok" | "poisoned" | "stopped" {
    return this.#state;
  }

  /** Requests and jobs that have not ended. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Whether a load or its like, or a step without an end, keeps it: what is asked now is answered after that. */
  get isAway(): boolean {
    if (this.#long.size > 0) return true;
    const figures = this.figures();
    return figures !== undefined && figures.doing !== "" && figures.turn_ms_ago > AWAY_MS;
  }

  /** How the thread's loop ended, once it has. */
  get ended(): DeviceThread["ended"] {
    return this.#thread.ended;
  }

  /** No job may start on it from now on. */
  markPoisoned(): void {
    this.#state = "poisoned";
  }

  /**
   * Hands a request to the engine and returns its id; its events go to the listener, the last one exactly once.
   * @throws EngineError when the engine does not accept it
   */
  submit(submission: Submission, listener: EventListener): number {
    return this.#start(listener, (request) =>
      this.#engine.submit(this.#thread.handle, request, submission),
    );
  }

  /**
   * Runs a job between the device's steps and resolves with its parsed result. An abort asks the engine to end it; the
   * promise settles when it has.
   * @throws EngineError when it fails
   */
  job(
    job: NativeJob,
    options: { readonly onProgress?: ProgressListener; readonly signal?: AbortSignal } = {},
  ): Promise<unknown> {
    const { onProgress, signal } = options;
    return new Promise((resolve, reject) => {
      const onAbort = () => this.cancel(request);
      const settle = (end: () => void) => {
        this.#long.delete(request);
        signal?.removeEventListener("abort", onAbort);
        end();
      };
      const listener = (event: NativeEvent) => {
        if (event.kind === "progress") onProgress?.(readProgress(event.payload));
        else if (event.kind === "result") settle(() => resolve(JSON.parse(event.payload)));
        else if (event.kind === "error") {
          settle(() => reject(new EngineError(parseFailure(event.status, event.payload))));
        }
      };
      const request = this.#start(listener, (id) => this.#engine.job(this.#thread.handle, id, job));
      if (LONG_JOBS.includes(job.op)) this.#long.add(request);
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort();
    });
  }

  /** Ends a request wherever it is; its ERROR event follows. False when it has ended already. */
  cancel(request: number): boolean {
    return this.#open.has(request) && this.#engine.cancel(this.#thread.handle, request);
  }

  /** Figures as of the last step; cheap. Undefined once the loop is over. */
  figures(): DeviceFigures | undefined {
    return this.#state === "stopped" ? undefined : this.#engine.figures(this.#thread.handle);
  }

  /** Ends the loop; resolves when its thread has freed what it held. */
  async stop(): Promise<void> {
    if (this.#state !== "ok") return;
    this.#state = "stopped";
    this.#engine.stopDevice(this.#thread.handle);
    await this.#thread.ended;
  }

  /** Ends every open request of a loop that hangs: its thread cannot be asked any more. */
  giveUp(cause: string): void {
    this.#state = "poisoned";
    const payload = JSON.stringify({ message: `Device '${this.name}' hangs: ${cause}` });
    for (const request of this.#open) this.#pump.fail(request, { status: "fault", payload });
  }

  /** Ends every open request of a loop whose thread died, because the engine never will. */
  abandon(cause: string): void {
    this.#state = "stopped";
    const payload = JSON.stringify({ message: `Device thread ended: ${cause}` });
    for (const request of this.#open) this.#pump.fail(request, { status: "internal", payload });
  }

  #start(listener: EventListener, call: (request: number) => void): number {
    if (this.#state !== "ok") {
      throw new EngineError(failureOf(new Error(`Device '${this.name}' is ${this.#state}`)));
    }
    const request = this.#pump.open((event) => {
      if (event.kind === "end" || event.kind === "result" || event.kind === "error") {
        this.#open.delete(event.request);
      }
      listener(event);
    });
    this.#open.add(request);
    try {
      call(request);
    } catch (error) {
      this.#open.delete(request);
      this.#pump.close(request);
      throw new EngineError(failureOf(error));
    }
    return request;
  }
}

function readProgress(payload: string): number {
  const { value } = JSON.parse(payload) as { value?: number };
  return typeof value === "number" ? Math.min(1, Math.max(0, value)) : 0;
}
