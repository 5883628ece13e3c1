import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../../../src/simulation/seeded-random.ts";
import { answers, waitUntil } from "../../e2e/processes.ts";
import { chunk, FakeNeuron, type FakeRequest, GIB } from "../../fakes/fake-neuron.ts";

interface DemoModel {
  readonly id: string;
  readonly gib: number;
  /** Tokens per second of one answer. */
  readonly rate: number;
  readonly quantization: string;
  readonly isLoaded: boolean;
}

const model = (
  id: string,
  gib: number,
  options: { readonly rate: number; readonly isLoaded?: boolean; readonly quantization?: string },
): DemoModel => ({ id, gib, quantization: "Q4_K_M", isLoaded: true, ...options });

const NEURONS = [
  {
    name: "atlas",
    device: "NVIDIA H100 80GB",
    gib: 80,
    models: [
      model("llama-3.3-70b-instruct", 43, { rate: 41 }),
      model("qwen3-coder-30b", 19, { rate: 126 }),
      model("bge-m3", 1.2, { rate: 0, quantization: "F16" }),
    ],
  },
  {
    name: "boreas",
    device: "NVIDIA RTX 6000 Ada",
    gib: 48,
    models: [
      model("qwen3-coder-30b", 19, { rate: 88 }),
      model("gemma-3-27b-it", 17, { rate: 37 }),
      model("phi-4-14b", 9, { rate: 66, isLoaded: false }),
    ],
  },
  {
    name: "calypso",
    device: "NVIDIA RTX 4090",
    gib: 24,
    models: [
      model("mistral-small-24b", 14, { rate: 52 }),
      model("qwen3-8b", 5.6, { rate: 118 }),
      model("phi-4-14b", 9, { rate: 71, isLoaded: false }),
    ],
  },
  {
    name: "delos",
    device: "NVIDIA RTX 3090",
    gib: 24,
    models: [
      model("qwen3-8b", 5.6, { rate: 96 }),
      model("phi-4-14b", 9, { rate: 58 }),
      model("gemma-3-27b-it", 17, { rate: 29, isLoaded: false }),
    ],
  },
] as const;

/** Answers that are asked for each second, in waves. */
const REQUESTS_PER_SECOND = 1.2;
const TICK_MS = 100;
/** Milliseconds of the wave's length: two of them are in the shortest stretch that the charts show. */
const WAVE_MS = 120_000;

/** A fleet of fakes with real names and steady requests, for looking at the page; computes nothing. */
export class DemoFleet {
  readonly #fakes = new Map<string, FakeNeuron>();
  readonly #random = new SeededRandom(7).next;
  readonly url: string;
  #gateway: Bun.Subprocess | undefined;
  #folder = "";
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(readonly port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }

  /** `command` starts the gateway: the executable, or Bun with the sources. */
  async start(command: readonly string[]): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), "cortex-demo-"));
    const lines = [
      "[gateway]",
      `listen = "127.0.0.1:${this.port}"`,
      `metrics_listen = "127.0.0.1:${this.port + 1}"`,
      'log_level = "warn"',
    ];
    for (const neuron of NEURONS) {
      const fake = this.#make(neuron);
      lines.push("[[neurons]]", `name = "${neuron.name}"`, `endpoint = "${fake.url}"`);
    }
    const config = join(this.#folder, "cortex.toml");
    await Bun.write(config, `${lines.join("\n")}\n`);
    this.#gateway = Bun.spawn([...command, "gateway", "--config", config], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
    });
    await waitUntil(() => answers(`${this.url}/health`));
    this.#timer = setInterval(() => this.#askNow(), TICK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#gateway?.kill("SIGKILL");
    await this.#gateway?.exited;
    for (const fake of this.#fakes.values()) await fake.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** A load that is half done, and a neuron that has gone: what a picture should show. */
  async showTrouble(): Promise<void> {
    const fake = this.#fakes.get("boreas");
    if (fake === undefined) return;
    fake.change("phi-4-14b", { state: "loading", progress: 0.62 });
    await this.#fakes.get("delos")?.kill();
  }

  #make({ name, device, gib, models }: (typeof NEURONS)[number]): FakeNeuron {
    const fake = new FakeNeuron();
    fake.deviceName = device;
    fake.totalBytes = gib * GIB;
    fake.lostBytes = 0.9 * GIB;
    for (const { id, gib: size, rate, quantization, isLoaded } of models) {
      fake.addModel(id, { bytes: size * GIB, state: isLoaded ? "ready" : "absent" });
      fake.change(id, {
        ...(rate > 0 ? { decode_tokens_per_second: rate } : {}),
        ...{ quantization, load_seconds: size / 2, prefill_tokens_per_second: rate * 40 + 1 },
        context: 32_768,
      });
    }
    fake.answer = (request) => this.#answer(request, fake);
    fake.start();
    this.#fakes.set(name, fake);
    return fake;
  }

  /** Words at the model's own speed, after what a prompt takes to be read. */
  #answer(request: FakeRequest, fake: FakeNeuron): Response {
    const { model: id } = request.body as { readonly model: string };
    const rate = fake.model(id).decode_tokens_per_second ?? 20;
    const tokens = 60 + Math.floor(this.#random() * 500);
    const prompt = 200 + Math.floor(this.#random() * 3_000);
    const cached = Math.floor(prompt * this.#random() * 0.9);
    const encoder = new TextEncoder();
    const usage = {
      ...{ prompt_tokens: prompt, completion_tokens: tokens, total_tokens: prompt + tokens },
      prompt_tokens_details: { cached_tokens: cached },
    };
    const waitMs = 40 + (prompt - cached) / 8 + this.#random() * 60;
    const body = new ReadableStream<Uint8Array>({
      start: async (controller) => {
        await Bun.sleep(waitMs);
        for (let sent = 0; sent < tokens && !request.signal.aborted; ) {
          const piece = Math.max(1, Math.round((rate * TICK_MS) / 1_000));
          const words = Math.min(piece, tokens - sent);
          controller.enqueue(encoder.encode(chunk("sea ").repeat(words)));
          sent += words;
          await Bun.sleep(TICK_MS);
        }
        const end = `data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`;
        controller.enqueue(encoder.encode(end));
        controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  #askNow(): void {
    const wave = 1 + 0.7 * Math.sin((2 * Math.PI * performance.now()) / WAVE_MS);
    if (this.#random() > (REQUESTS_PER_SECOND * wave * TICK_MS) / 1_000) return;
    const models = NEURONS.flatMap((neuron) => neuron.models).filter(
      ({ isLoaded, rate }) => isLoaded && rate > 0,
    );
    const asked = models[Math.floor(this.#random() * models.length)];
    const [path, body] = this.#request(asked?.id ?? "");
    void fetch(this.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: asked?.id, stream: true, ...body }),
    })
      .then((response) => response.text())
      .catch(() => undefined);
  }

  #request(id: string): [path: string, body: object] {
    const messages = [{ role: "user", content: `Tell me about the sea, ${id}` }];
    const choice = this.#random();
    if (choice < 0.6) return ["/v1/chat/completions", { messages }];
    if (choice < 0.85) return ["/v1/messages", { messages, max_tokens: 800 }];
    return ["/v1/responses", { input: "Tell me about the sea", store: false }];
  }
}
