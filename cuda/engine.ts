/**
 * The native surface as types: what include/neuron.h offers, in TypeScript's terms.
 * The binding (index.ts) implements it; a fake in test/fakes passes the same contract suite.
 */

/** Names of nrn_status; the numbers are in {@link STATUS}. */
export type NativeStatus = keyof typeof STATUS;

/** nrn_status of include/neuron.h; a test compares it with the library. */
export const STATUS = {
  ok: 0,
  argument: -1,
  state: -2,
  memory: -3,
  buffer: -4,
  queue: -5,
  not_found: -6,
  internal: -7,
  fault: -8,
  cancelled: -9,
  context: -10,
  unsupported: -11,
  load: -12,
} as const;

/** nrn_event_kind of include/neuron.h. */
export const EVENT_KIND = {
  chunk: 1,
  end: 2,
  result: 3,
  error: 4,
  fault: 5,
  progress: 6,
  log: 7,
} as const;

export type NativeEventKind = keyof typeof EVENT_KIND;

/** nrn_submit_kind of include/neuron.h. */
export const SUBMIT_KIND = {
  chat: 1,
  completion: 2,
  embeddings: 3,
  rerank: 4,
  tokenize: 5,
  apply_template: 6,
  count_tokens: 7,
} as const;

export type SubmitKind = keyof typeof SUBMIT_KIND;

/** One drained event. `payload` is the JSON text as the library wrote it: chunks are passed on without parsing. */
export interface NativeEvent {
  readonly kind: NativeEventKind;
  readonly request: number;
  readonly status: NativeStatus;
  readonly payload: string;
}

/** An opened device's handle; opaque. */
export type DeviceHandle = bigint;

/** Whether {@link NativeEngine.runDevice} wants to be called again. */
export type RunState = "again" | "stopped" | "poisoned";

/** Thrown by every method for a negative status, with the library's own text. */
export class NativeError extends Error {
  override readonly name = "NativeError";
  constructor(
    readonly status: NativeStatus,
    message: string,
  ) {
    super(message);
  }
}

export interface EngineOptions {
  readonly log_level?: "debug" | "info" | "warn" | "error";
  readonly event_bytes_max?: number;
  readonly test_faults?: boolean;
  /** "host:port" of RPC servers whose devices join discovery's list. */
  readonly rpc_servers?: readonly string[];
}

/** nrn_devices, parsed. */
export interface EngineDiscovery {
  readonly engine: string;
  readonly build: string;
  readonly flavour: string;
  readonly backends: readonly string[];
  readonly cuda_architectures: readonly string[];
  readonly nccl: boolean;
  readonly devices: readonly EngineDevice[];
}

export interface EngineDevice {
  readonly index: number;
  readonly kind: "cpu" | "gpu" | "integrated" | "accelerator" | "remote";
  readonly backend: string;
  readonly name: string;
  readonly description: string;
  readonly compute_capability: string | null;
  readonly pci: string | null;
  /** Version of NVIDIA's kernel driver, of a CUDA device. */
  readonly driver: string | null;
  /** "host:port" of a remote device's server. */
  readonly endpoint: string | null;
  readonly memory_total_bytes: number;
  readonly memory_free_bytes: number;
  readonly cores?: number;
}

/** nrn_device_figures, parsed. */
export interface DeviceFigures {
  readonly state: "ok" | "poisoned";
  readonly cause: string | null;
  readonly steps: number;
  readonly last_step_ms_ago: number;
  readonly longest_step_ms: number;
  /** Since the loop last came by; it does at least every slice, between steps, and while a load makes progress. */
  readonly turn_ms_ago: number;
  /** What the loop is at, or empty between two things. */
  readonly doing: "" | "prefill" | "decode" | "job";
  /** Threads that hang in preparing a request which has been failed. */
  readonly preparing_stuck: number;
  readonly models: readonly ModelFigures[];
}

export interface ModelFigures {
  readonly model: string;
  readonly state: "ready" | "poisoned";
  readonly slots: number;
  readonly slots_busy: number;
  readonly preparing: number;
  readonly queued: number;
  readonly in_flight: number;
  readonly prompt_tokens: number;
  readonly cached_prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prefill_tokens_per_second: number;
  readonly decode_tokens_per_second: number;
  readonly steps: number;
  readonly context_tokens_used: number;
}

/** A job for the device thread; the fields of each `op` are documented at nrn_job in include/neuron.h. */
export type NativeJob = { readonly op: string } & Readonly<Record<string, unknown>>;

/**
 * The library as an object. Threads: openDevice, runDevice and closeDevice belong to the device's Worker, which opens
 * its own NativeEngine on the same file (one image per process, state is shared); the rest may be called anywhere, and
 * only one thread drains.
 */
export interface NativeEngine {
  readonly path: string;
  init(options: EngineOptions): void;
  discover(): EngineDiscovery;
  openDevice(options: {
    readonly devices: readonly number[];
    readonly name: string;
    readonly requests_max?: number;
    /** How long a stream's next token may wait for prompts of others. */
    readonly step_ms?: number;
    /** What preparing one request may take. */
    readonly prepare_ms?: number;
    /** The device thread and its CPU threads keep to these. */
    readonly cpus?: readonly number[];
    /** Whose memory is preferred. */
    readonly numa_node?: number;
  }): DeviceHandle;
  /** Blocks the calling Worker for at most sliceMs. */
  runDevice(device: DeviceHandle, sliceMs: number): RunState;
  stopDevice(device: DeviceHandle): void;
  closeDevice(device: DeviceHandle): void;
  job(device: DeviceHandle, request: number, job: NativeJob): void;
  submit(
    device: DeviceHandle,
    request: number,
    what: { readonly kind: SubmitKind; readonly model: string; readonly body: string | Uint8Array },
  ): void;
  /** False when the request has ended already. */
  cancel(device: DeviceHandle, request: number): boolean;
  figures(device: DeviceHandle): DeviceFigures;
  /** File descriptor of the doorbell pipe; read it with Bun.file(fd).stream(). */
  eventFd(): number;
  /** All events that are ready, in order; empty when there are none. */
  drain(): NativeEvent[];
  /** Blocks for the process's life. */
  serveRpc(
    options: { readonly host: string; readonly port: number } & Readonly<Record<string, unknown>>,
  ): void;
}
