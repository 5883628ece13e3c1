import type { NeuronProcess } from "../processes.ts";
import type { CuttingProxy } from "./cutting-proxy.ts";

/** A neuron and the line to it. */
export interface Victim {
  readonly neuron: NeuronProcess;
  readonly line: CuttingProxy;
}

/** What may befall a neuron. Each resolves once the neuron is whole again, or heals by itself. */
export const DISTURBANCES = {
  /** The process dies; its supervisor starts it anew. */
  kill: async ({ neuron }: Victim) => {
    await neuron.process.end("SIGKILL");
    await Bun.sleep(RESTART_MS);
    await neuron.start();
  },
  /** The host hangs. */
  stop: async ({ neuron }: Victim) => {
    neuron.process.signal("SIGSTOP");
    await Bun.sleep(STOPPED_MS);
    neuron.process.signal("SIGCONT");
  },
  /** A model's forward pass aborts, which poisons it. */
  fault: async ({ neuron }: Victim) => {
    const model = await findReady(neuron);
    if (model !== undefined) await arm(neuron, { model, phase: "decode", kind: "abort" });
  },
  /** The next load fails. */
  refuse: async ({ neuron }: Victim) => await arm(neuron, { phase: "load", kind: "exception" }),
  /** Every connection to it is reset. */
  cut: async ({ line }: Victim) => line.cut(),
} as const satisfies Record<string, (victim: Victim) => Promise<void>>;

export type Disturbance = keyof typeof DISTURBANCES;

/** What systemd's RestartSec makes of it. */
const RESTART_MS = 500;
const STOPPED_MS = 10_000;

async function findReady(neuron: NeuronProcess): Promise<string | undefined> {
  const response = await neuron.get("/models");
  const list = (await response.json()) as { models: { id: string; state: string }[] };
  return list.models.find((model) => model.state === "ready")?.id;
}

async function arm(neuron: NeuronProcess, fault: object): Promise<void> {
  const response = await neuron.post("/test/fault", { ...fault, after: 1 });
  if (!response.ok) throw new Error(`Fault not armed: ${response.status} ${await response.text()}`);
}
