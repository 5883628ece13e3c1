import { resolve } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { createLog, type Log } from "../../base/log.ts";
import { waitForStopSignal } from "../../lifecycle/signals.ts";
import { styleFor } from "../frame/style.ts";
import { startChild } from "./children.ts";
import { DEFAULT_MODELS_DIR, ensureDefaultModel, hasModels } from "./default-model.ts";
import { askFirstQuestion, chooseModel, type Waiting, waitForHealth } from "./first-answer.ts";
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
  try {
    const waiting: Waiting = { clock: systemClock, signal: stopped.signal };
    const gaveUp = Promise.race([neuron.gaveUp, gateway.gaveUp]);
    neuron.start();
    await Promise.race([waitForHealth(neuronUrl, waiting), gaveUp]);
    gateway.start();
    await Promise.race([waitForHealth(gatewayUrl, waiting), gaveUp]);
    const asked = showFirstAnswer({ neuronUrl, gatewayUrl, model: options.model, waiting });
    const model = await Promise.race([asked, gaveUp]);
    if (options.once) return;
    const metricsUrl = `http://${LOOPBACK}:${metricsPort}/metrics`;
    process.stdout.write(
      formatWelcome({ gatewayUrl, metricsUrl, model }, styleFor(process.stdout)),
    );
    await Promise.race([stopSignal, gaveUp]);
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

/** Asks one question through both daemons and returns the model that answered. */
async function showFirstAnswer(parts: {
  readonly neuronUrl: string;
  readonly gatewayUrl: string;
  readonly model: string | undefined;
  readonly waiting: Waiting;
}): Promise<string> {
  const { neuronUrl, gatewayUrl, waiting } = parts;
  const style = styleFor(process.stdout);
  const model = await chooseModel(neuronUrl, { ...waiting, wanted: parts.model });
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
