import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { ModelProfiles } from "../config/models-schema.ts";
import type { RequestRecord } from "../protocol/request-log.ts";
import { type ReplayReport, ReplayTally } from "./replay-report.ts";
import { SessionPrompts } from "./session-prompts.ts";
import { SimulatedWorld } from "./simulated-world.ts";
import type { NeuronSpec } from "./specs.ts";

/** What is replayed, and over what. */
export interface ReplayOptions {
  /** In the order of their times; at least one. */
  readonly records: readonly RequestRecord[];
  readonly neurons: readonly NeuronSpec[];
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
  readonly seed: number;
}

/** After the last request nobody waits for longer. */
const REST_MS = 3_600_000;

/** Plays a log to one gateway of that configuration, and reports how its clients fared. */
export function replay(options: ReplayOptions): ReplayReport {
  const { records, neurons, config, profiles, seed } = options;
  const tally = new ReplayTally();
  const world = new SimulatedWorld({
    seed,
    neurons,
    config: withNeuronsOnly(config),
    profiles,
    observer: tally,
  });
  const catalogue = world.gateways[0]?.core.fleet.catalogue;
  world.onEnd = (client) => {
    tally.note(client, catalogue?.find(client.ask.model)?.id ?? client.ask.model);
  };
  const prompts = new SessionPrompts();
  const firstMs = records[0]?.time_ms ?? 0;
  const startMs = world.clock.monotonicMs();
  const askNext = (index: number) => {
    const record = records[index];
    if (record === undefined) return;
    world.ask(prompts.next(record));
    const next = records[index + 1];
    if (next === undefined) return;
    const dueMs = startMs + next.time_ms - firstMs - world.clock.monotonicMs();
    world.clock.after(dueMs, () => askNext(index + 1));
  };
  world.clock.after(0, () => askNext(0));
  const lastMs = records.at(-1)?.time_ms ?? firstMs;
  const isOver = () => world.open.size === 0 && tally.requests === records.length;
  world.clock.run(startMs + (lastMs - firstMs) + REST_MS, { isOver });
  for (const client of world.open) client.leave();
  return tally.report();
}

/** APIs are other people's: nobody knows how fast they would have been. */
function withNeuronsOnly(config: GatewayConfig): GatewayConfig {
  return { ...config, neurons: config.neurons.filter(({ kind }) => kind === "neuron") };
}
