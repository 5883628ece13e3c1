import type { NativeEngine, NativeEvent } from "bun-ffi-cuda-bindings-local/engine";
import { describeError } from "../../base/errors.ts";
import type { Log, LogLevel } from "../../base/log.ts";

/** Takes the events of one request, in order; called on the main thread, must not block. */
export type EventListener = (event: NativeEvent) => void;

/** A FAULT event's payload. */
export interface EngineFault {
  readonly device: string;
  readonly model: string | null;
  readonly scope: "model" | "device";
  readonly cause: string;
  readonly phase: string;
}

/**
 * Brings the library's events to those who wait for them. Owner of request ids and of the one drain of the process.
 */
export class EventPump {
  readonly #engine: NativeEngine;
  readonly #log: Log;
  readonly #listeners = new Map<number, EventListener>();
  #lastId = 0;
  #onFault: (fault: EngineFault) => void = () => undefined;

  constructor(options: { readonly engine: NativeEngine; readonly log: Log }) {
    this.#engine = options.engine;
    this.#log = options.log;
  }

  /** One listener for device and model faults. */
  onFault(listener: (fault: EngineFault) => void): void {
    this.#onFault = listener;
  }

  /** A new request id whose events go to the listener until its last one. */
  open(listener: EventListener): number {
    this.#lastId += 1;
    this.#listeners.set(this.#lastId, listener);
    return this.#lastId;
  }

  /** Forgets a request that the engine never accepted. */
  close(request: number): void {
    this.#listeners.delete(request);
  }

  /** Ends a request as if the engine had said so; for a device whose thread is gone. */
  fail(request: number, event: Omit<NativeEvent, "request" | "kind">): void {
    this.#dispatch({ ...event, kind: "error", request });
  }

  /** Drains at each ring of the doorbell until that ends. */
  async run(doorbell: AsyncIterable<unknown>): Promise<void> {
    for await (const _ring of doorbell) this.drain();
  }

  /** Dispatches everything that is ready; the next event after that rings again. */
  drain(): void {
    for (const event of this.#engine.drain()) this.#dispatch(event);
  }

  #dispatch(event: NativeEvent): void {
    if (event.request === 0) {
      this.#dispatchOwn(event);
      return;
    }
    const listener = this.#listeners.get(event.request);
    if (listener === undefined) return;
    if (event.kind === "end" || event.kind === "result" || event.kind === "error") {
      this.#listeners.delete(event.request);
    }
    try {
      listener(event);
    } catch (error) {
      // A bug in one listener must not keep the others from their events.
      this.#log.error("model NOT marked poisoned", {
        cause: "panicked",
        request: event.request,
        detail: describeError(error),
      });
    }
  }

  #dispatchOwn(event: NativeEvent): void {
    try {
      if (event.kind === "fault") this.#onFault(JSON.parse(event.payload) as EngineFault);
      else if (event.kind === "log") this.#writeLog(event.payload);
    } catch (error) {
      this.#log.error("Engine event cannot be handled", {
        kind: event.kind,
        cause: describeError(error),
      });
    }
  }

  #writeLog(payload: string): void {
    const { level, text, device, model } = JSON.parse(payload) as {
      level: LogLevel;
      text: string;
      device?: string;
      model?: string;
    };
    this.#log[level](text.trimEnd(), { from: "engine", device, model });
  }
}
