/**
 * The bun:ffi binding of the native library: {@link openEngine} gives the {@link NativeEngine} that engine.ts
 * describes. Every string crosses with its length, every answer comes back in a buffer of ours.
 */
import { dlopen, type Pointer, ptr } from "bun:ffi";
import {
  type DeviceFigures,
  type DeviceHandle,
  type EngineDiscovery,
  EVENT_KIND,
  type NativeEngine,
  NativeError,
  type NativeEvent,
  type NativeEventKind,
  type NativeStatus,
  STATUS,
  SUBMIT_KIND,
} from "./engine.ts";
// The bundler puts the text into the executable; header-text.d.ts tells the compiler that it is one.
import header from "./include/neuron.h" with { type: "text" };

/** Of the interface that this binding was written for; nrn_abi_version in include/neuron.h says what it is. */
export const ABI_STAMP = Number.parseInt(
  new Bun.CryptoHasher("sha256").update(header).digest("hex").slice(0, 8),
  16,
);

/** Header of an event frame: length, kind, request (64 bit), status, payload length. */
const FRAME_HEADER_BYTES = 24;
/** Enough for most drains; it grows when a single event is larger. */
const DRAIN_BYTES_FIRST = 1 << 18;
/** Discovery and figures of a host with many models stay far below this. */
const ANSWER_BYTES_FIRST = 1 << 16;
const ERROR_BYTES_MAX = 8192;

const STATUS_NAMES = new Map<number, NativeStatus>(
  (Object.keys(STATUS) as NativeStatus[]).map((name) => [STATUS[name], name]),
);
const KIND_NAMES = new Map<number, NativeEventKind>(
  (Object.keys(EVENT_KIND) as NativeEventKind[]).map((name) => [EVENT_KIND[name], name]),
);

const STAMP_SYMBOL = { nrn_abi_version: { args: [], returns: "u32" } } as const;
const SYMBOLS = {
  nrn_init: { args: ["ptr", "u32"], returns: "i32" },
  nrn_last_error: { args: ["ptr", "u32"], returns: "i32" },
  nrn_devices: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  nrn_device_open: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  nrn_device_run: { args: ["u64", "u32"], returns: "i32" },
  nrn_device_stop: { args: ["u64"], returns: "i32" },
  nrn_device_close: { args: ["u64"], returns: "i32" },
  nrn_job: { args: ["u64", "u64", "ptr", "u32"], returns: "i32" },
  nrn_submit: { args: ["u64", "u64", "u32", "ptr", "u32", "ptr", "u32"], returns: "i32" },
  nrn_cancel: { args: ["u64", "u64"], returns: "i32" },
  nrn_device_figures: { args: ["u64", "ptr", "u32", "ptr"], returns: "i32" },
  nrn_event_fd: { args: [], returns: "i32" },
  nrn_drain: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  nrn_rpc_serve: { args: ["ptr", "u32"], returns: "i32" },
} as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** ptr() refuses an empty array; its length is passed as 0, so nothing is read from it. */
const EMPTY = new Uint8Array(1);

/** Thrown for a library whose interface is not this binding's: one that was built before or after it. */
export class StaleLibraryError extends Error {
  override readonly name = "StaleLibraryError";
}

/**
 * Opens the library. Open it in one thread at a time: dlopen calls that race have crashed Bun.
 * @throws StaleLibraryError when it was built for another interface, and Error when the file cannot be loaded
 */
export function openEngine(path: string): NativeEngine {
  checkStamp(path);
  return new BunEngine(path, openLibrary(path).symbols);
}

/** Before anything else is looked up: a library of another interface may lack it. */
function checkStamp(path: string): void {
  const stamp = dlopen(path, STAMP_SYMBOL).symbols.nrn_abi_version();
  if (stamp === ABI_STAMP) return;
  const [has, needed] = [stamp, ABI_STAMP].map((part) => part.toString(16).padStart(8, "0"));
  throw new StaleLibraryError(
    `Cannot use '${path}': it was built for another version of cortex (its interface is ${has}, ` +
      `this program's ${needed}); build it again: bun scripts/build-native.ts`,
  );
}

function openLibrary(path: string) {
  return dlopen(path, SYMBOLS);
}

type Symbols = ReturnType<typeof openLibrary>["symbols"];
/** A function that writes a JSON answer into our buffer. */
type AnswerCall = (out: Pointer, capacity: number, written: Pointer) => number;

class BunEngine implements NativeEngine {
  readonly path: string;
  readonly #native: Symbols;
  readonly #written = new Uint32Array(1);
  #drainBuffer = new Uint8Array(DRAIN_BYTES_FIRST);
  #answerBuffer = new Uint8Array(ANSWER_BYTES_FIRST);

  constructor(path: string, native: Symbols) {
    this.path = path;
    this.#native = native;
  }

  init(options: Parameters<NativeEngine["init"]>[0]): void {
    const text = encoder.encode(JSON.stringify(options));
    this.#check(this.#native.nrn_init(ptr(text), text.length));
  }

  discover(): EngineDiscovery {
    return this.#answer((out, capacity, written) =>
      this.#native.nrn_devices(out, capacity, written),
    );
  }

  openDevice(options: Parameters<NativeEngine["openDevice"]>[0]): DeviceHandle {
    const text = encoder.encode(JSON.stringify(options));
    const handle = new BigUint64Array(1);
    this.#check(this.#native.nrn_device_open(ptr(text), text.length, ptr(handle)));
    return handle[0] ?? 0n;
  }

  runDevice(device: DeviceHandle, sliceMs: number): ReturnType<NativeEngine["runDevice"]> {
    const status = this.#native.nrn_device_run(device, sliceMs);
    if (status === STATUS.fault) return "poisoned";
    return this.#check(status) === 1 ? "stopped" : "again";
  }

  stopDevice(device: DeviceHandle): void {
    this.#check(this.#native.nrn_device_stop(device));
  }

  closeDevice(device: DeviceHandle): void {
    this.#check(this.#native.nrn_device_close(device));
  }

  job(device: DeviceHandle, request: number, job: Parameters<NativeEngine["job"]>[2]): void {
    const text = encoder.encode(JSON.stringify(job));
    this.#check(this.#native.nrn_job(device, BigInt(request), ptr(text), text.length));
  }

  submit(device: DeviceHandle, request: number, what: Parameters<NativeEngine["submit"]>[2]): void {
    const model = encoder.encode(what.model);
    const body = typeof what.body === "string" ? encoder.encode(what.body) : what.body;
    this.#check(
      this.#native.nrn_submit(
        device,
        BigInt(request),
        SUBMIT_KIND[what.kind],
        ptr(model.length > 0 ? model : EMPTY),
        model.length,
        ptr(body.length > 0 ? body : EMPTY),
        body.length,
      ),
    );
  }

  cancel(device: DeviceHandle, request: number): boolean {
    const status = this.#native.nrn_cancel(device, BigInt(request));
    if (status === STATUS.not_found) return false;
    this.#check(status);
    return true;
  }

  figures(device: DeviceHandle): DeviceFigures {
    return this.#answer((out, capacity, written) =>
      this.#native.nrn_device_figures(device, out, capacity, written),
    );
  }

  eventFd(): number {
    return this.#check(this.#native.nrn_event_fd());
  }

  drain(): NativeEvent[] {
    const events: NativeEvent[] = [];
    const written = ptr(this.#written);
    for (;;) {
      const buffer = this.#drainBuffer;
      const status = this.#native.nrn_drain(ptr(buffer), buffer.length, written);
      const bytes = this.#written[0] ?? 0;
      if (status === STATUS.buffer) {
        this.#drainBuffer = new Uint8Array(Math.max(bytes, buffer.length * 2));
        continue;
      }
      this.#check(status);
      if (bytes === 0) return events;
      readFrames(buffer, bytes, events);
    }
  }

  serveRpc(options: Parameters<NativeEngine["serveRpc"]>[0]): void {
    const text = encoder.encode(JSON.stringify(options));
    this.#check(this.#native.nrn_rpc_serve(ptr(text), text.length));
  }

  #answer<T>(call: AnswerCall): T {
    for (;;) {
      const buffer = this.#answerBuffer;
      const status = call(ptr(buffer), buffer.length, ptr(this.#written));
      const bytes = this.#written[0] ?? 0;
      if (status === STATUS.buffer) {
        this.#answerBuffer = new Uint8Array(bytes * 2);
        continue;
      }
      this.#check(status);
      return JSON.parse(decoder.decode(buffer.subarray(0, bytes))) as T;
    }
  }

  #check(status: number): number {
    if (status >= 0) return status;
    const text = new Uint8Array(ERROR_BYTES_MAX);
    const length = this.#native.nrn_last_error(ptr(text), text.length);
    const message = decoder.decode(text.subarray(0, Math.min(length, text.length)));
    throw new NativeError(STATUS_NAMES.get(status) ?? "internal", message);
  }
}

function readFrames(buffer: Uint8Array, bytes: number, events: NativeEvent[]): void {
  const view = new DataView(buffer.buffer, buffer.byteOffset, bytes);
  let at = 0;
  while (at < bytes) {
    const kind = KIND_NAMES.get(view.getUint32(at + 4, true));
    const status = STATUS_NAMES.get(view.getInt32(at + 16, true));
    if (kind === undefined || status === undefined) {
      throw new Error(`Unknown event frame at byte ${at}: the library does not match this binding`);
    }
    const start = at + FRAME_HEADER_BYTES;
    events.push({
      kind,
      request: view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32,
      status,
      payload: decoder.decode(buffer.subarray(start, start + view.getUint32(at + 20, true))),
    });
    at += view.getUint32(at, true);
  }
}
