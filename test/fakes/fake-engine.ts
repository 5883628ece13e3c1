import {
  type DeviceFigures,
  type DeviceHandle,
  type EngineDevice,
  type EngineDiscovery,
  type EngineOptions,
  type NativeEngine,
  NativeError,
  type NativeEvent,
  type NativeJob,
  type RunState,
  type SubmitKind,
} from "bun-ffi-cuda-bindings-local/engine";
import type {
  DeviceThread,
  DeviceThreadOptions,
  EngineHost,
  LoopEnd,
} from "../../src/neuron/harness/engine-host.ts";
import { type EmitEvent, FakeDevice, type HoldPoint } from "./fake-device.ts";

/** What was asked of the fake, in order. */
export interface FakeCall {
  readonly name: "init" | "open" | "job" | "submit" | "cancel" | "stop" | "close";
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface FakeEngineOptions {
  /** Of each device; 0 is a CPU, further ones are GPUs. Default: one CPU of 1 GiB. */
  readonly deviceBytes?: readonly number[];
  /** Loops whose start hangs as in a driver, until letOpen. */
  readonly hangingOpens?: readonly string[];
}

const GIBIBYTE = 1024 ** 3;

/**
 * The engine without a device: models are files of any content, an answer is "w1 w2 …", one word a step. Records what
 * it was asked, can stop at a hold point, inject the engine's faults and lose a Worker.
 */
export class FakeEngine implements NativeEngine, EngineHost {
  readonly path = "/fake/libneuron_fake.so";
  readonly calls: FakeCall[] = [];
  readonly #deviceBytes: readonly number[];
  readonly #devices = new Map<DeviceHandle, FakeDevice>();
  readonly #ends = new Map<DeviceHandle, (end: LoopEnd) => void>();
  readonly #held = new Set<HoldPoint>();
  readonly #hangingOpens: Set<string>;
  readonly #opening = new Map<string, () => void>();
  readonly #events: NativeEvent[] = [];
  readonly #rings = new Set<() => void>();
  #rung = false;
  #scheduled = false;

  constructor(options: FakeEngineOptions = {}) {
    this.#deviceBytes = options.deviceBytes ?? [GIBIBYTE];
    this.#hangingOpens = new Set(options.hangingOpens ?? []);
  }

  get engine(): NativeEngine {
    return this;
  }

  /** Stops every device at this point; the function returned lets them go on. */
  hold(point: HoldPoint): () => void {
    this.#held.add(point);
    return () => {
      this.#held.delete(point);
      this.#schedule();
    };
  }

  /** Loops whose start hangs at this moment. */
  get opening(): readonly string[] {
    return [...this.#opening.keys()];
  }

  /** Ends the hang of a loop's start. */
  letOpen(name: string): void {
    this.#hangingOpens.delete(name);
    this.#opening.get(name)?.();
  }

  /** An opened device by its loop's name. */
  opened(name: string): FakeDevice {
    const found = [...this.#devices.values()].find((device) => device.name === name);
    if (found === undefined) throw new Error(`Device '${name}' is not open`);
    return found;
  }

  /** Ends a device's thread as a crash of its Worker would. */
  killThread(name: string, cause: string): void {
    for (const [handle, device] of this.#devices) {
      if (device.name !== name) continue;
      this.#devices.delete(handle);
      this.#ends.get(handle)?.({ state: "died", cause });
    }
  }

  countCalls(name: FakeCall["name"], detail: Readonly<Record<string, unknown>> = {}): number {
    return this.calls.filter(
      (call) =>
        call.name === name &&
        Object.entries(detail).every(([key, value]) => call.detail[key] === value),
    ).length;
  }

  async startThread(options: DeviceThreadOptions): Promise<DeviceThread> {
    await this.#hangAt(options.name);
    const handle = this.openDevice({ devices: options.devices, name: options.name });
    const ended = new Promise<LoopEnd>((resolve) => this.#ends.set(handle, resolve));
    return { handle, ended };
  }

  async #hangAt(name: string): Promise<void> {
    if (!this.#hangingOpens.has(name)) return;
    await new Promise<void>((resolve) => this.#opening.set(name, resolve));
    this.#opening.delete(name);
  }

  addRpcServer(endpoint: string): void {
    this.#record("init", { rpc_servers: [endpoint] });
  }

  async close(): Promise<void> {
    this.#record("close", {});
  }

  get doorbell(): AsyncIterable<unknown> {
    const rings = this.#rings;
    const takeRing = () => {
      const rung = this.#rung;
      this.#rung = false;
      return rung;
    };
    return {
      async *[Symbol.asyncIterator]() {
        for (;;) {
          while (!takeRing()) await new Promise<void>((resolve) => rings.add(resolve));
          yield undefined;
        }
      },
    };
  }

  init(options: EngineOptions): void {
    this.#record("init", { ...options });
  }

  discover(): EngineDiscovery {
    const devices = this.#deviceBytes.map(
      (bytes, index): EngineDevice => ({
        index,
        kind: index === 0 ? "cpu" : "gpu",
        backend: index === 0 ? "CPU" : "CUDA",
        name: index === 0 ? "CPU" : `CUDA${index - 1}`,
        description: "A fake device",
        compute_capability: index === 0 ? null : "8.9",
        pci: null,
        driver: null,
        endpoint: null,
        memory_total_bytes: bytes,
        memory_free_bytes: bytes,
        cores: 4,
      }),
    );
    return {
      ...{ engine: "fake", build: "0", flavour: "fake", backends: ["CPU"], nccl: false },
      ...{ cuda_architectures: [], devices },
    };
  }

  openDevice(options: {
    readonly devices: readonly number[];
    readonly name: string;
  }): DeviceHandle {
    this.#record("open", { ...options });
    const handle = BigInt(this.calls.length);
    const device = new FakeDevice(options.name, options.devices, {
      emit: this.#emit,
      held: this.#held,
      memory: (index) => this.#memoryOf(index),
    });
    this.#devices.set(handle, device);
    return handle;
  }

  runDevice(handle: DeviceHandle): RunState {
    return this.#device(handle).step();
  }

  stopDevice(handle: DeviceHandle): void {
    this.#record("stop", { device: this.#device(handle).name });
    this.#device(handle).stopping = true;
    this.#schedule();
  }

  closeDevice(handle: DeviceHandle): void {
    this.#devices.delete(handle);
  }

  job(handle: DeviceHandle, request: number, job: NativeJob): void {
    const device = this.#device(handle);
    this.#record("job", { device: device.name, request, ...job });
    device.jobs.push({ id: request, job });
    this.#schedule();
  }

  submit(
    handle: DeviceHandle,
    request: number,
    what: { readonly kind: SubmitKind; readonly model: string; readonly body: string | Uint8Array },
  ): void {
    const device = this.#device(handle);
    const body = JSON.parse(
      typeof what.body === "string" ? what.body : new TextDecoder().decode(what.body),
    );
    const model = device.models.get(what.model);
    if (model === undefined)
      throw new NativeError("not_found", `Model '${what.model}' is not loaded`);
    if (model.state === "poisoned") throw new NativeError("fault", "The model is poisoned");
    this.#record("submit", { device: device.name, request, kind: what.kind, body });
    device.submit(request, what.kind, model, body);
    this.#schedule();
  }

  cancel(handle: DeviceHandle, request: number): boolean {
    this.#record("cancel", { request });
    return this.#device(handle).cancel(request);
  }

  figures(handle: DeviceHandle): DeviceFigures {
    return this.#device(handle).figures();
  }

  eventFd(): number {
    return -1;
  }

  drain(): NativeEvent[] {
    return this.#events.splice(0);
  }

  serveRpc(): void {
    throw new NativeError("unsupported", "The fake serves no RPC");
  }

  readonly #emit: EmitEvent = (kind, request, payload, status = "ok") => {
    this.#events.push({ kind, request, status, payload: JSON.stringify(payload) });
    this.#rung = true;
    for (const ring of this.#rings) ring();
    this.#rings.clear();
  };

  #memoryOf(index: number): object {
    const totalBytes = this.#deviceBytes[index] ?? 0;
    let usedBytes = 0;
    for (const device of this.#devices.values()) {
      if (device.devices.includes(index)) usedBytes += device.loadedBytes / device.devices.length;
    }
    return { index, memory_total_bytes: totalBytes, memory_free_bytes: totalBytes - usedBytes };
  }

  #device(handle: DeviceHandle): FakeDevice {
    const device = this.#devices.get(handle);
    if (device === undefined) throw new NativeError("not_found", "No such device");
    return device;
  }

  #record(name: FakeCall["name"], detail: Readonly<Record<string, unknown>>): void {
    this.calls.push({ name, detail });
  }

  /** The loop of every device, in turns of the event loop instead of a thread. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const [handle, device] of this.#devices) {
        if (!device.hasWork) continue;
        const state = device.step();
        if (state === "again") continue;
        this.#ends.get(handle)?.({ state });
        if (state === "stopped") this.#devices.delete(handle);
      }
      const working = [...this.#devices.values()].some(
        (device) => device.poisonCause === null && device.hasWork,
      );
      if (working) this.#schedule();
    });
  }
}
