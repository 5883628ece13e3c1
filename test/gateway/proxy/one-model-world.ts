import type { ModelProfile } from "../../../src/config/models-schema.ts";
import type { SimulatedClient } from "../../../src/simulation/simulated-client.ts";
import { SimulatedWorld } from "../../../src/simulation/simulated-world.ts";
import type { Ask, ModelSpec } from "../../../src/simulation/specs.ts";
import { GIB, gatewayConfig, modelProfiles } from "../../sim/scenario.ts";
import { profile } from "../fixture.ts";

/** Neurons that all have the model, ready where nothing else is said, one gateway, and nobody who asks yet. */
export function worldOf(
  count: number,
  given: {
    readonly profile?: Partial<ModelProfile>;
    readonly model?: Partial<ModelSpec>;
    readonly limits?: Readonly<Record<string, unknown>>;
  } = {},
): SimulatedWorld {
  const neurons = Array.from({ length: count }, (_, index) => ({
    name: `n${index}`,
    devices: [{ totalBytes: 8 * GIB }],
    queueMax: 64,
    models: [
      {
        ...{ id: "m", aliases: [], bytes: GIB, contextBytes: 0, slots: 4, context: 200_000 },
        ...{ loadSeconds: 1, prefillTokensPerSecond: 100, decodeTokensPerSecond: 10 },
        ...{ loaded: true, pinned: false },
        ...given.model,
      },
    ],
  }));
  const limits = { keepalive_seconds: 5, ...given.limits };
  return new SimulatedWorld({
    ...{ seed: 1, neurons, config: gatewayConfig({ neurons, limits }) },
    profiles: modelProfiles([profile({ id: "m", ...given.profile })]),
  });
}

/** Somebody asks: a prompt that is read in ten seconds, and a streamed answer of about as many. */
export function ask(world: SimulatedWorld, options: Partial<Ask> = {}): SimulatedClient {
  return world.ask({
    ...{ id: 1, model: "m", prompt: [{ key: "p", tokens: 1_000 }], stream: true },
    ...{ answer: { key: "a", tokens: 100 }, session: undefined },
    ...options,
  });
}

/** Lets so much time go by, or less when every request has ended. */
export function run(world: SimulatedWorld, forMs: number): void {
  world.clock.run(world.clock.monotonicMs() + forMs, { isOver: () => world.open.size === 0 });
}
