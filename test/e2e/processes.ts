import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Status } from "../../src/protocol/status.ts";

/**
 * The compiled executable that every end-to-end test runs; scripts/test.ts builds it first. The variable names another
 * one, such as that of an earlier version.
 */
export const EXECUTABLE =
  process.env["CORTEX_TEST_EXECUTABLE"] ?? join(import.meta.dir, "../../dist/cortex");

/** The default model and the generated ones; scripts/test.ts puts them there and names the folder. */
export const MODELS_DIR = process.env["CORTEX_TEST_MODELS"] ?? "";

/** How long a process may take to say that it serves; a cold start extracts the native library first. */
const START_DEADLINE_MS = 30_000;

/** Below the range from which the system takes the ports of outgoing connections, so that none comes in between. */
const PORT_FIRST = 15_000;
const PORT_COUNT = 15_000;
let lastPort = PORT_FIRST + Math.floor(Math.random() * PORT_COUNT);

/** A port that nobody listens on, and whose next one is free as well: `cortex up` puts its metrics there. */
export function findFreePort(): number {
  for (let tries = 0; tries < PORT_COUNT; tries += 1) {
    lastPort = PORT_FIRST + ((lastPort + 2 - PORT_FIRST) % PORT_COUNT);
    if (isFree(lastPort) && isFree(lastPort + 1)) return lastPort;
  }
  throw new Error("No free port");
}

function isFree(port: number): boolean {
  try {
    const socket = { data: () => undefined };
    Bun.listen({ hostname: "127.0.0.1", port, socket }).stop(true);
    return true;
  } catch {
    // In use.
    return false;
  }
}

/** A real process of the executable with everything that it printed. */
export class CortexProcess {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  #output = "";

  constructor(
    readonly args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#child = Bun.spawn([EXECUTABLE, ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    void this.#collect(this.#child.stdout);
    void this.#collect(this.#child.stderr);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Standard output and standard error so far. */
  get output(): string {
    return this.#output;
  }

  get exited(): Promise<number> {
    return this.#child.exited;
  }

  /** Sends a signal and waits until the process is gone. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.#child.kill(signal);
    return await this.#child.exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves once the output holds the text; fails with the whole output when it never does. */
  async waitForOutput(text: string, deadlineMs = START_DEADLINE_MS): Promise<void> {
    await waitUntil(() => this.#output.includes(text) || this.#child.exitCode !== null, {
      deadlineMs,
      what: () => `output with ${JSON.stringify(text)}, got:\n${this.#output}`,
    });
    if (!this.#output.includes(text)) {
      throw new Error(`Ended with code ${this.#child.exitCode}, it printed:\n${this.#output}`);
    }
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of stream) this.#output += decoder.decode(piece, { stream: true });
  }
}

/** Polls a condition of another process, which cannot be awaited otherwise. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  options: { readonly deadlineMs?: number; readonly what?: () => string } = {},
): Promise<void> {
  const deadlineMs = options.deadlineMs ?? START_DEADLINE_MS;
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) {
      throw new Error(`Waited ${deadlineMs} ms for ${options.what?.() ?? condition.toString()}`);
    }
    await Bun.sleep(20);
  }
}

/** Runs the executable to its end. */
export async function runCortex(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([EXECUTABLE, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** Whether somebody serves there by now. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Nobody listens yet: the caller asks again until its deadline.
    return false;
  }
}

/** A neuron process on a port of its own. */
export class NeuronProcess {
  #process: CortexProcess | undefined;
  readonly port = findFreePort();
  readonly url = `http://127.0.0.1:${this.port}`;
  /** What the neuron keeps over a restart. */
  readonly stateFolder: string;
  readonly #configPath: string;
  readonly #toml: string;

  constructor(
    readonly name: string,
    options: { readonly folder: string; readonly toml?: string; readonly modelsDir?: string },
  ) {
    this.stateFolder = join(options.folder, `${name}-state`);
    this.#configPath = join(options.folder, `${name}.toml`);
    this.#toml =
      `[neuron]\nlisten = "127.0.0.1:${this.port}"\nmodels_dir = "${options.modelsDir ?? MODELS_DIR}"\n` +
      `${options.toml ?? ""}\n`;
  }

  get process(): CortexProcess {
    if (this.#process === undefined) throw new Error(`Neuron '${this.name}' is not started`);
    return this.#process;
  }

  async start(): Promise<void> {
    await Bun.write(this.#configPath, this.#toml);
    const child = new CortexProcess(["neuron", "--config", this.#configPath], {
      CORTEX_TEST_FAULTS: "1",
      CORTEX_STATE_DIR: this.stateFolder,
    });
    this.#process = child;
    await waitUntil(() => answers(`${this.url}/health`), {
      what: () => `neuron '${this.name}' to serve, it printed:\n${child.output}`,
    });
  }

  async get(path: string): Promise<Response> {
    return await fetch(`${this.url}${path}`);
  }

  async post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return await postJson(`${this.url}${path}`, body, signal);
  }

  /** What the neuron itself says of a model. */
  async model(id: string): Promise<ModelView> {
    const response = await this.get(`/models/${encodeURIComponent(id)}`);
    if (!response.ok)
      throw new Error(`GET /models/${id}: ${response.status} ${await response.text()}`);
    return (await response.json()) as ModelView;
  }
}

/** The fields of a neuron's model that these tests look at. */
export interface ModelView {
  readonly id: string;
  readonly state: string;
  readonly cause?: string;
  /** 0 to 1 while it loads. */
  readonly progress?: number;
  readonly slots: number;
  readonly slots_busy: number;
  readonly in_flight: number;
  readonly queued: number;
  readonly bytes?: { weights: number; context: number; compute: number };
  readonly context: number;
}

/** Posts JSON as a client would. */
export async function postJson(
  url: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<Response> {
  return await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Has a neuron load a model, and waits until it is ready. */
export async function loadModel(neuronUrl: string, model: string): Promise<void> {
  const response = await postJson(`${neuronUrl}/models/load`, { model });
  if (!response.ok) throw new Error(`load: ${response.status} ${await response.text()}`);
}

/** A gateway over neurons, in a folder that goes with it. */
export class Cluster {
  readonly neurons: NeuronProcess[] = [];
  readonly port = findFreePort();
  readonly metricsPort = findFreePort();
  readonly url = `http://127.0.0.1:${this.port}`;
  #gateway: CortexProcess | undefined;

  private constructor(readonly folder: string) {}

  static async create(): Promise<Cluster> {
    return new Cluster(await mkdtemp(join(tmpdir(), "cortex-e2e-")));
  }

  get gateway(): CortexProcess {
    if (this.#gateway === undefined) throw new Error("The gateway is not started");
    return this.#gateway;
  }

  async addNeuron(
    name: string,
    options: { readonly toml?: string; readonly modelsDir?: string } = {},
  ): Promise<NeuronProcess> {
    const neuron = new NeuronProcess(name, { folder: this.folder, ...options });
    this.neurons.push(neuron);
    await neuron.start();
    return neuron;
  }

  /** `neurons` are the cluster's own unless there is something between. */
  async startGateway(
    options: {
      readonly toml?: string;
      readonly models?: string;
      readonly neurons?: readonly { readonly name: string; readonly url: string }[];
    } = {},
  ): Promise<void> {
    const config = join(this.folder, "cortex.toml");
    const neurons = (options.neurons ?? this.neurons)
      .map((neuron) => `[[neurons]]\nname = "${neuron.name}"\nendpoint = "${neuron.url}"\n`)
      .join("\n");
    await Bun.write(
      config,
      `[gateway]\nlisten = "127.0.0.1:${this.port}"\nmetrics_listen = "127.0.0.1:${this.metricsPort}"\n` +
        `${options.toml ?? ""}\n${neurons}`,
    );
    if (options.models !== undefined) {
      await Bun.write(join(this.folder, "models.toml"), options.models);
    }
    const child = new CortexProcess(["gateway", "--config", config]);
    this.#gateway = child;
    await waitUntil(() => answers(`${this.url}/health`), {
      what: () => `the gateway to serve, it printed:\n${child.output}`,
    });
    await waitUntil(async () => (await this.modelIds()).length > 0, {
      what: () => `models in the catalogue, the gateway printed:\n${child.output}`,
    });
  }

  /** Resolves once the gateway knows that these models are ready on that neuron. */
  async untilReady(neuron: string, models: readonly string[]): Promise<void> {
    const isKnown = async () => {
      const status = (await (await fetch(`${this.url}/admin/status`)).json()) as Status;
      const isReady = (id: string) =>
        status.models
          .find((model) => model.id === id)
          ?.replicas.some((replica) => replica.neuron === neuron && replica.state === "ready");
      return models.every(isReady);
    };
    await waitUntil(isKnown, { what: () => `${models.join(", ")} to be known on ${neuron}` });
  }

  async modelIds(): Promise<string[]> {
    const response = await fetch(`${this.url}/v1/models`);
    const list = (await response.json()) as { data: { id: string }[] };
    return list.data.map((model) => model.id);
  }

  async post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return await postJson(`${this.url}${path}`, body, signal);
  }

  async metrics(): Promise<string> {
    return await (await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`)).text();
  }

  async stop(): Promise<void> {
    if (this.#gateway !== undefined) await this.#gateway.end("SIGKILL");
    for (const neuron of this.neurons) await neuron.process.end("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A chat request with a bounded, deterministic answer. */
export function chat(model: string, options: Readonly<Record<string, unknown>> = {}) {
  return {
    model,
    messages: [{ role: "user", content: "Tell me about the sea." }],
    max_tokens: 16,
    temperature: 0,
    ...options,
  };
}

/** Everything that a stream sent, split into its data lines. */
export async function readStream(response: Response): Promise<{
  readonly text: string;
  readonly data: readonly string[];
  readonly done: boolean;
  readonly error: { readonly message: string; readonly code: string } | undefined;
  readonly content: string;
  readonly usage:
    | { prompt_tokens: number; completion_tokens: number; total_tokens: number }
    | undefined;
}> {
  const text = await response.text();
  const data = text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => line.slice("data: ".length));
  let content = "";
  let error: { message: string; code: string } | undefined;
  let usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | undefined;
  for (const line of data) {
    if (line === "[DONE]") continue;
    const chunk = JSON.parse(line);
    content += chunk.choices?.[0]?.delta?.content ?? "";
    error = chunk.error ?? error;
    usage = chunk.usage ?? usage;
  }
  return { text, data, done: data.at(-1) === "[DONE]", error, content, usage };
}
