/**
 * What the native tests share: one drainer for the process, devices in Workers, and requests as promises. The tests
 * run on the real library with tiny models; nothing here imitates the engine.
 */
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type {
  DeviceFigures,
  DeviceHandle,
  ModelFigures,
  NativeEngine,
  NativeEvent,
  SubmitKind,
} from "../../cuda/engine.ts";
import { openEngine } from "../../cuda/index.ts";
import { makeTinyModel, type TinyModelOptions } from "../../scripts/make-tiny-model.ts";

export const LIBRARY =
  process.env["CORTEX_NATIVE_LIBRARY"] ??
  resolve(import.meta.dir, "../../cuda/lib/libneuron_cpu.so");

/** Why the native tests cannot run here, or undefined when they can; a skip in CI is a failure. */
export const SKIP_REASON = existsSync(LIBRARY)
  ? undefined
  : `${LIBRARY} is not built: bun scripts/build-native.ts`;

if (SKIP_REASON !== undefined && process.env["CI"]) throw new Error(SKIP_REASON);

export interface Answer {
  readonly events: readonly NativeEvent[];
  readonly last: NativeEvent;
  /** Payloads of the chunks, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely by the tests
  readonly chunks: readonly any[];
  /** Payload of the last event, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely by the tests
  readonly result: any;
}

export interface Running {
  readonly id: number;
  readonly done: Promise<Answer>;
  /** Resolves at the first event that fits. */
  until(fits: (event: NativeEvent) => boolean): Promise<NativeEvent>;
}

interface Watcher {
  readonly events: NativeEvent[];
  readonly listeners: Set<(event: NativeEvent) => void>;
}

/** The process's one drainer; test files share it because the library's event stream is one as well. */
class Drainer {
  readonly engine: NativeEngine;
  readonly watchers = new Map<number, Watcher>();
  /** Events of no request: logs and faults. */
  readonly loose: NativeEvent[] = [];
  /** While set, nothing is drained. */
  paused = false;
  nextId = 1;

  constructor() {
    this.engine = openEngine(LIBRARY);
    this.engine.init({ log_level: "info", test_faults: true });
    void this.#listen();
  }

  async #listen(): Promise<void> {
    for await (const _ of Bun.file(this.engine.eventFd()).stream()) this.drain();
  }

  drain(): void {
    if (this.paused) return;
    for (const event of this.engine.drain()) {
      if (event.request === 0) this.loose.push(event);
      const watcher = this.watchers.get(event.request);
      watcher?.events.push(event);
      for (const listener of watcher?.listeners ?? []) listener(event);
    }
  }
}

const SHARED = Symbol.for("cortex.test.native.drainer");

export function sharedDrainer(): Drainer {
  const holder = globalThis as { [SHARED]?: Drainer };
  holder[SHARED] ??= new Drainer();
  return holder[SHARED];
}

const isLast = (event: NativeEvent) => ["end", "result", "error"].includes(event.kind);

/** A device with its own Worker. */
export class TestDevice {
  readonly #drainer = sharedDrainer();
  readonly #worker: Worker;
  readonly handle: DeviceHandle;
  readonly ended: Promise<string>;

  private constructor(worker: Worker, handle: DeviceHandle) {
    this.#worker = worker;
    this.handle = handle;
    this.ended = new Promise((settle) => {
      worker.onmessage = (message: MessageEvent<{ ended: string }>) => settle(message.data.ended);
    });
  }

  static async open(
    name: string,
    options: {
      readonly requestsMax?: number;
      readonly kind?: string;
      readonly prepareMs?: number;
    } = {},
  ): Promise<TestDevice> {
    sharedDrainer();
    const worker = new Worker(new URL("./device-worker.ts", import.meta.url));
    const handle = await new Promise<DeviceHandle>((settle, refuse) => {
      worker.onerror = (event) => refuse(new Error(event.message));
      worker.onmessage = (message: MessageEvent<{ opened: DeviceHandle }>) =>
        settle(message.data.opened);
      worker.postMessage({ path: LIBRARY, name, ...options });
    });
    return new TestDevice(worker, handle);
  }

  get engine(): NativeEngine {
    return this.#drainer.engine;
  }

  figures(): DeviceFigures {
    return this.engine.figures(this.handle);
  }

  modelFigures(model: string): ModelFigures {
    const found = this.figures().models.find((figures) => figures.model === model);
    if (found === undefined) throw new Error(`no figures of model ${model}`);
    return found;
  }

  startJob(job: { readonly op: string } & Record<string, unknown>): Running {
    return this.#start((id) => this.engine.job(this.handle, id, job));
  }

  job(job: { readonly op: string } & Record<string, unknown>): Promise<Answer> {
    return this.startJob(job).done;
  }

  /** Loads a model with few slots and one thread, and fails the test when that does not work. */
  async load(
    model: string,
    path: string,
    options: Record<string, unknown> = {},
  ): Promise<Answer["result"]> {
    const answer = await this.job({ op: "load", model, path, slots: 2, threads: 1, ...options });
    if (answer.last.kind !== "result") throw new Error(answer.last.payload);
    return answer.result;
  }

  submit(kind: SubmitKind, model: string, body: Record<string, unknown> | string): Running {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.#start((id) => this.engine.submit(this.handle, id, { kind, model, body: text }));
  }

  chat(model: string, body: Record<string, unknown> = {}): Running {
    const messages = [{ role: "user", content: "Say something." }];
    return this.submit("chat", model, {
      messages,
      max_tokens: 8,
      temperature: 0,
      seed: 1,
      ...body,
    });
  }

  cancel(id: number): boolean {
    return this.engine.cancel(this.handle, id);
  }

  async close(): Promise<void> {
    this.engine.stopDevice(this.handle);
    await this.ended;
    this.#worker.terminate();
  }

  #start(start: (id: number) => void): Running {
    const drainer = this.#drainer;
    const id = drainer.nextId++;
    const watcher: Watcher = { events: [], listeners: new Set() };
    drainer.watchers.set(id, watcher);
    start(id);
    const until = (fits: (event: NativeEvent) => boolean): Promise<NativeEvent> => {
      const known = watcher.events.find(fits);
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((settle) => {
        const listener = (event: NativeEvent) => {
          if (!fits(event)) return;
          watcher.listeners.delete(listener);
          settle(event);
        };
        watcher.listeners.add(listener);
      });
    };
    const done = until(isLast).then((last) => ({
      events: watcher.events,
      last,
      chunks: watcher.events
        .filter((event) => event.kind === "chunk")
        .map((event) => JSON.parse(event.payload)),
      result: JSON.parse(last.payload),
    }));
    return { id, done, until };
  }
}

let folder: string | undefined;

/** A tiny model in a folder of this run. */
export function tinyModel(name: string, options: TinyModelOptions = {}): Promise<string> {
  folder ??= mkdtempSync(join(tmpdir(), "cortex-native-"));
  return makeTinyModel(join(folder, `${name}.gguf`), options);
}

/** Logs and faults since the drainer began, parsed. */
export function looseEvents(kind: "log" | "fault"): Record<string, unknown>[] {
  return sharedDrainer()
    .loose.filter((event) => event.kind === kind)
    .map((event) => JSON.parse(event.payload));
}

/** Text of a streamed answer. */
export function textOf(answer: Answer): string {
  return answer.chunks
    .map((chunk) => chunk.choices[0]?.delta?.content ?? chunk.choices[0]?.text ?? "")
    .join("");
}

/** Polls figures, which no event announces. */
export async function eventually(what: string, holds: () => boolean, ms = 1000): Promise<void> {
  const until = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > until) throw new Error(`not within ${ms} ms: ${what}`);
    await Bun.sleep(5);
  }
}
