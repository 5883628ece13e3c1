import { Cluster } from "./processes.ts";

/** The limit in MiB under which so many models of that one's size fit: asks a neuron without one what it takes. */
export async function limitForModels(model: string, count: number): Promise<number> {
  const scout = await Cluster.create();
  try {
    const free = await scout.addNeuron("scout", { toml: "[defaults]\nslots = 2\ncontext = 2048" });
    const plan = (await (await free.post("/models/plan", { model })).json()) as {
      bytes: { weights: number; context: number; compute: number };
    };
    const bytes = plan.bytes.weights + plan.bytes.context + plan.bytes.compute;
    return Math.ceil((bytes * count) / 1024 / 1024);
  } finally {
    await scout.stop();
  }
}
