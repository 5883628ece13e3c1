import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { encodeGguf, type GgufValue } from "../../scripts/gguf-writer.ts";
import { type NeuronConfig, NeuronConfigSchema } from "../../src/config/neuron-schema.ts";
import type { NumaNode } from "../../src/neuron/discovery/numa.ts";
import { type Neuron, startNeuron } from "../../src/neuron/start.ts";
import type { Model } from "../../src/protocol/models.ts";
import { FakeClock, settle } from "../fakes/fake-clock.ts";
import { FakeEngine, type FakeEngineOptions } from "../fakes/fake-engine.ts";
import { RecordingLog } from "../fakes/recording-log.ts";

/** Bytes that the fake engine plans for a model of the fixture's default shape, without its few weights. */
export const MODEL_BYTES = 100 * 2 * 1_000 + 1_000_000;

export interface FixtureOptions extends FakeEngineOptions {
  readonly models?: readonly string[];
  readonly neuron?: Readonly<Record<string, unknown>>;
  readonly memory?: Readonly<Record<string, unknown>>;
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly supply?: Readonly<Record<string, unknown>>;
  readonly kv?: Readonly<Record<string, unknown>>;
  readonly telemetry?: Readonly<Record<string, unknown>>;
  /** `[[models]]` tables. */
  readonly profiles?: readonly Readonly<Record<string, unknown>>[];
  readonly env?: Readonly<Record<string, string>>;
  readonly devices?: Readonly<Record<string, unknown>>;
  readonly deviceSets?: readonly Readonly<Record<string, unknown>>[];
  readonly numaNodes?: readonly NumaNode[];
}

/** A small valid model file. */
export function ggufFile(metadata: Readonly<Record<string, GgufValue>> = {}): Blob {
  return encodeGguf(
    {
      "general.architecture": { string: "llama" },
      "llama.context_length": { u32: 4096 },
      "llama.block_count": { u32: 2 },
      "llama.embedding_length": { u32: 2 },
      "tokenizer.chat_template": { string: "{{ messages }}" },
      ...metadata,
    },
    [{ name: "token_embd.weight", shape: [4, 2], data: new Float32Array(8) }],
  );
}

/** A neuron on the fake engine with models "alpha" and "beta", two slots of 100 tokens each, and a clock to move. */
export class NeuronFixture {
  private constructor(
    readonly neuron: Neuron,
    readonly engine: FakeEngine,
    readonly clock: FakeClock,
    readonly log: RecordingLog,
    readonly folder: string,
  ) {}

  static async start(options: FixtureOptions = {}): Promise<NeuronFixture> {
    const folder = await mkdtemp(join(tmpdir(), "cortex-neuron-"));
    for (const name of options.models ?? ["alpha", "beta"]) {
      await Bun.write(join(folder, `${name}.gguf`), ggufFile());
    }
    const config = Value.Default(NeuronConfigSchema, {
      neuron: { listen: "127.0.0.1:0", models_dir: folder, ...options.neuron },
      memory: { margin_mib: 0, ...options.memory },
      defaults: { context: 100, slots: 2, queue_max: 3, ...options.defaults },
      kv: { ...options.kv },
      telemetry: { ...options.telemetry },
      supply: { ...options.supply },
      devices: { ...options.devices },
      device_sets: [...(options.deviceSets ?? [])],
      models: options.profiles ?? [],
    }) as NeuronConfig;
    const [engine, clock, log] = [new FakeEngine(options), new FakeClock(), new RecordingLog()];
    const env = { CORTEX_STATE_DIR: join(folder, "state"), ...options.env };
    const { numaNodes } = options;
    const neuron = await startNeuron({
      ...{ config, log, clock, engine, env, testFaults: true },
      ...(numaNodes === undefined ? {} : { numaNodes }),
    });
    return new NeuronFixture(neuron, engine, clock, log, folder);
  }

  async stop(): Promise<void> {
    let stopped = false;
    const stopping = this.neuron.stop().finally(() => {
      stopped = true;
    });
    while (!stopped) await this.clock.advance(1_000);
    await stopping;
    await rm(this.folder, { recursive: true, force: true });
  }

  async get(path: string): Promise<Response> {
    return await fetch(`${this.neuron.url}${path}`);
  }

  async post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return await fetch(`${this.neuron.url}${path}`, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async load(model: string, options: object = {}): Promise<Response> {
    return await this.post("/models/load", { model, ...options });
  }

  async chat(options: object = {}, signal?: AbortSignal): Promise<Response> {
    const messages = [{ role: "user", content: "hi" }];
    return await this.post(
      "/v1/chat/completions",
      { model: "alpha", messages, ...options },
      signal,
    );
  }

  async model(id: string): Promise<Model> {
    return (await (await this.get(`/models/${id}`)).json()) as Model;
  }

  /** Looks again at each turn of the event loop; the runner's timeout is the deadline. */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await condition())) await settle(1);
  }
}

/** The error of an answer, with its status. */
export async function errorOf(response: Response): Promise<{
  status: number;
  code: string;
  message: string;
  param: string | null;
  source: string;
  figures?: Record<string, unknown>;
}> {
  const { error } = (await response.json()) as { error: Record<string, never> };
  return { status: response.status, ...error } as never;
}
