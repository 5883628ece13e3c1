import type { SeedResult } from "./run-seed.ts";
import { GIB } from "./scenario.ts";

/** A run in words: what was drawn, what became of each request, and what went against the rules. */
export function describeSeed({ scenario, faults, clients, violations, world }: SeedResult): string {
  const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
  const ms = (at: number | undefined) => (at === undefined ? "-" : String(Math.round(at)));
  const lines = [
    `${scenario.gateways} gateways, eviction ${scenario.config.eviction.strategy}`,
    ...scenario.profiles.models.map((profile) => `profile ${JSON.stringify(profile)}`),
    ...scenario.neurons.flatMap(({ name, devices, models }) => [
      `${name}: ${devices.map(({ totalBytes }) => gib(totalBytes)).join(", ")}`,
      ...models.map(
        ({ id, bytes, slots, loadSeconds, loaded }) =>
          `  ${id} ${gib(bytes)}, ${slots} slots, ${loadSeconds.toFixed(1)} s${loaded ? ", there" : ""}`,
      ),
    ]),
    ...faults.map((fault) => `fault ${JSON.stringify(fault)}`),
    ...clients.map(
      ({ ask, startMs, firstTokenMs, endMs, outcome, status, route, error }) =>
        `request ${ask.id} ${ask.model}: ${ms(startMs)} ${ms(firstTokenMs)} ${ms(endMs)} ` +
        `${outcome} ${status} ${route} ${error.trim()}`,
    ),
    `loads ${world.counts.loads}, unloads ${world.counts.unloads}`,
    ...violations.map((violation) => `VIOLATION ${violation}`),
  ];
  return `${lines.join("\n")}\n`;
}
