import { resolve } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { createLog, type Log } from "../../base/log.ts";
import { waitForStopSignal } from "../../lifecycle/signals.ts";
import { styleFor } from "../frame/style.ts";
import { startChild } from "./children.ts";
import { DEFAULT_MODELS_DIR, ensureDefaultModel, hasModels } from "./default-model.ts";
import { askFirstQuestion, chooseModel, type Waiting, waitForUrl } from "./first-answer.ts";
import { claimPort, LOOPBACK } from "./ports.ts";
import { Supervisor } from "./supervisor.ts";
import { formatWelcome } from "./welcome.ts";

export interface UpOptions {
  /** 0 takes free ports for the gateway and its metrics. */
  readonly port: number;
  readonly neuronPort: number;
  readonly modelsDir: string | undefined;
  readonly model: string | undefined;
  readonly library: string | undefined;
  readonly memoryLimitMib: string | undefined;
  readonly once: boolean;
  readonly verbose: boolean;
}

/** Above the daemons' own drain times, 30 s each. */
const STOP_MAX_MS = 45_000;

/** Starts a neuron and a gateway, shows a first answer, and keeps both running until a stop signal (or `once`). */
export async function runUp(options: UpOptions): Promise<void> {
  const tell = (line: string) => process.stderr.write(`${line}\n`);
  const log = createLog("warn");
  const port = claimPort(options.port, "--port");
  const metricsPort = claimPort(options.port === 0 ? 0 : port + 1, "--port");
  const neuronPort = claimPort(options.neuronPort, "--neuron-port");
  const modelsDir = resolve(options.modelsDir ?? DEFAULT_MODELS_DIR);
  if (!(await hasModels(modelsDir))) await ensureDefaultModel(modelsDir, { tell });
  const neuronUrl = `http://${LOOPBACK}:${neuronPort}`;
  const gatewayUrl = `http://${LOOPBACK}:${port}`;
  const neuron = supervise("neuron", { args: neuronArgs(options, { neuronPort, modelsDir }), log });
  const gateway = supervise("gateway", {
    args: gatewayArgs(options, { port, metricsPort, neuronUrl }),
    log,
  });
  const stopped = new AbortController();
  const stopSignal = waitForStopSignal().then(() => stopped.abort());
  process.once("exit", () => {
    neuron.kill();
    gateway.kill();
  });
  neuron.start();
  gateway.start();
  try {
    const waiting: Waiting = { clock: systemClock, signal: stopped.signal };
    const firstAnswer = showFirstAnswer({ neuronUrl, gatewayUrl, options, waiting });
    await Promise.race([firstAnswer, neuron.gaveUp, gateway.gaveUp]);
    const model = await firstAnswer;
    if (options.once) return;
    const metricsUrl = `http://${LOOPBACK}:${metricsPort}/metrics`;
    process.stdout.write(
      formatWelcome({ gatewayUrl, metricsUrl, model }, styleFor(process.stdout)),
    );
    await Promise.race([stopSignal, neuron.gaveUp, gateway.gaveUp]);
  } catch (error) {
    // A stop signal during the start is what was asked for.
    if (!stopped.signal.aborted) throw error;
  } finally {
    if (!options.once) tell("Stopping: running requests may finish; Ctrl-C again stops at once");
    await gateway.stop(STOP_MAX_MS);
    await neuron.stop(STOP_MAX_MS);
  }
}

function supervise(
  name: string,
  options: { readonly args: readonly string[]; readonly log: Log },
): Supervisor {
  return new Supervisor({
    name,
    start: () => startChild(options.args),
    clock: systemClock,
    log: options.log,
  });
}

/** The empty file keeps the configuration of an installed service out. */
const NO_CONFIG = "/dev/null";

function neuronArgs(
  options: UpOptions,
  found: { readonly neuronPort: number; readonly modelsDir: string },
): readonly string[] {
  return [
    "neuron",
    `--config=${NO_CONFIG}`,
    `--listen=${LOOPBACK}:${found.neuronPort}`,
    `--models-dir=${found.modelsDir}`,
    ...(options.library === undefined ? [] : [`--library=${resolve(options.library)}`]),
    ...(options.memoryLimitMib === undefined
      ? []
      : [`--memory-limit-mib=${options.memoryLimitMib}`]),
    `--log-level=${options.verbose ? "info" : "warn"}`,
  ];
}

function gatewayArgs(
  options: UpOptions,
  found: { readonly port: number; readonly metricsPort: number; readonly neuronUrl: string },
): readonly string[] {
  return [
    "gateway",
    `--config=${NO_CONFIG}`,
    `--listen=${LOOPBACK}:${found.port}`,
    `--metrics-listen=${LOOPBACK}:${found.metricsPort}`,
    `--neuron=local=${found.neuronUrl}`,
    `--log-level=${options.verbose ? "info" : "warn"}`,
  ];
}

/** Waits for both daemons, asks one question through them, and returns the model that answered. */
async function showFirstAnswer(parts: {
  readonly neuronUrl: string;
  readonly gatewayUrl: string;
  readonly options: UpOptions;
  readonly waiting: Waiting;
}): Promise<string> {
  const { neuronUrl, gatewayUrl, options, waiting } = parts;
  const style = styleFor(process.stdout);
  await waitForUrl(`${neuronUrl}/health`, waiting);
  const model = await chooseModel(neuronUrl, { ...waiting, wanted: options.model });
  await waitForUrl(`${gatewayUrl}/v1/models/${encodeURIComponent(model)}`, waiting);
  process.stdout.write(`${style.dim(`${model}:`)} `);
  const { firstTokenMs } = await askFirstQuestion(gatewayUrl, {
    ...waiting,
    model,
    onText: (text) => process.stdout.write(text),
  });
  const seconds = (firstTokenMs / 1000).toFixed(1);
  process.stdout.write(`\n${style.dim(`(first token after ${seconds} s, loading included)`)}\n`);
  return model;
}
