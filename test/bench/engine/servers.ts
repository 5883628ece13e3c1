import { join } from "node:path";
import { buildLlamaServer } from "../../../scripts/build-native.ts";
import { answers, CortexProcess, findFreePort, loadModel, waitUntil } from "../../e2e/processes.ts";
import { startMistralRs } from "../mistral-rs.ts";
import { ask } from "./ask.ts";

/** A server of the bench, which has answered once. */
export interface Server {
  readonly name: string;
  readonly url: string;
  readonly pids: readonly number[];
  /** From the start of its process to its first answer. */
  readonly readySeconds: number;
  /** Clients at once that it can answer; any number when left out. */
  readonly clientsMax?: number;
  stop(): Promise<void>;
}

/** What every server of a run is given alike. */
export interface Setting {
  /** Where the models lie, as `NAME.gguf`. */
  readonly folder: string;
  readonly model: string;
  readonly threads: number;
  readonly slots: number;
  readonly contextTokens: number;
}

/** llama-server of the same source. */
export async function startLlamaServer(setting: Setting): Promise<Server> {
  const { folder, model, threads, slots, contextTokens } = setting;
  const executable = await buildLlamaServer();
  const port = findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const startedMs = performance.now();
  const child = Bun.spawn(
    [
      executable,
      ...["--model", join(folder, `${model}.gguf`), "--alias", model, "--jinja"],
      ...["--host", "127.0.0.1", "--port", String(port)],
      ...["--threads", String(threads), "--threads-batch", String(threads)],
      ...["--parallel", String(slots), "--ctx-size", String(slots * contextTokens)],
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  await waitUntil(() => answers(`${url}/health`), { deadlineMs: 60_000 });
  await ask(url, "First.", { maxTokens: 1, model });
  return {
    name: "llama-server",
    url,
    pids: [child.pid],
    readySeconds: (performance.now() - startedMs) / 1000,
    stop: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** It answers one client; several at once end in an error of its own, so it runs in that case alone. */
export async function startContender({ folder, model, threads }: Setting): Promise<Server> {
  const startedMs = performance.now();
  const started = await startMistralRs(join(folder, `${model}.gguf`), { threads });
  await ask(started.url, "First.", { maxTokens: 1, model });
  return {
    name: "mistral.rs",
    url: started.url,
    pids: [started.pid],
    clientsMax: 1,
    readySeconds: (performance.now() - startedMs) / 1000,
    stop: started.stop,
  };
}

/** A neuron with the model loaded. */
export async function startNeuron(setting: Setting): Promise<Server> {
  const { folder, model, threads, slots, contextTokens } = setting;
  const port = findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, `neuron-${port}.toml`);
  await Bun.write(
    config,
    `[neuron]\nlisten = "127.0.0.1:${port}"\nmodels_dir = "${folder}"\n` +
      `[defaults]\nthreads = ${threads}\nslots = ${slots}\ncontext = ${contextTokens}\n`,
  );
  const startedMs = performance.now();
  const neuron = new CortexProcess(["neuron", "--config", config]);
  await waitUntil(() => answers(`${url}/health`), { what: () => neuron.output });
  await loadModel(url, model);
  await ask(url, "First.", { maxTokens: 1, model });
  return {
    name: "neuron",
    url,
    pids: [neuron.pid],
    readySeconds: (performance.now() - startedMs) / 1000,
    stop: async () => void (await neuron.end("SIGKILL")),
  };
}

/** A gateway before a neuron, which stays the caller's. */
export async function startGateway(neuron: Server, { folder, model }: Setting): Promise<Server> {
  const [port, metricsPort] = [findFreePort(), findFreePort()];
  const config = join(folder, `cortex-${port}.toml`);
  await Bun.write(
    config,
    `[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n` +
      `[[neurons]]\nname = "bench"\nendpoint = "${neuron.url}"\n`,
  );
  const url = `http://127.0.0.1:${port}`;
  const startedMs = performance.now();
  const gateway = new CortexProcess(["gateway", "--config", config]);
  await waitUntil(() => answers(`${url}/v1/models/${model}`), { what: () => gateway.output });
  return {
    name: "gateway + neuron",
    url,
    pids: [gateway.pid, ...neuron.pids],
    readySeconds: neuron.readySeconds + (performance.now() - startedMs) / 1000,
    stop: async () => void (await gateway.end("SIGKILL")),
  };
}
