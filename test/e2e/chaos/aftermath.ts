import { expect } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { StatusSchema } from "../../../src/protocol/status.ts";
import { type Cluster, type NeuronProcess, waitUntil } from "../processes.ts";
import type { Outcome } from "./ask-somehow.ts";
import type { Victim } from "./disturb.ts";

const CALM_MS = 30_000;

interface ModelFigures {
  readonly id: string;
  readonly state: string;
  readonly in_flight: number;
  readonly queued: number;
  readonly slots_busy: number;
  readonly leases?: readonly { readonly count: number }[];
}

/** Nothing runs, waits or is leased any more, on any neuron or in the gateway's eyes, and both see the same models. */
export async function expectCalm(cluster: Cluster, victims: readonly Victim[]): Promise<void> {
  for (const { neuron } of victims) {
    await waitUntil(async () => (await readFigures(neuron)).every(isAtRest), {
      deadlineMs: CALM_MS,
      what: () => `calm on ${neuron.name}`,
    });
  }
  let difference = "";
  await waitUntil(
    async () => {
      difference = await findDifference(cluster, victims);
      return difference === "";
    },
    { deadlineMs: CALM_MS, what: () => difference },
  );
}

function isAtRest(model: ModelFigures): boolean {
  const leased = (model.leases ?? []).reduce((total, { count }) => total + count, 0);
  return model.in_flight + model.queued + model.slots_busy + leased === 0;
}

/** What the gateway believes and a neuron does not say; nothing once its last events have come. */
async function findDifference(cluster: Cluster, victims: readonly Victim[]): Promise<string> {
  const answer: unknown = await (await fetch(`${cluster.url}/admin/status`)).json();
  const status = Value.Decode(StatusSchema, answer);
  if (status.in_flight + status.waiting + status.loads > 0) return "requests in the gateway";
  for (const { neuron } of victims) {
    for (const { id, state } of await readFigures(neuron)) {
      const replica = status.models
        .find((model) => model.id === id)
        ?.replicas.find((one) => one.neuron === neuron.name);
      if (replica === undefined) return `${id} on ${neuron.name} is unknown to the gateway`;
      const ours = replica.in_flight + replica.waiting;
      if (ours > 0) return `${ours} requests for ${id} on ${neuron.name}`;
      if (replica.state !== state) return `${id} on ${neuron.name}: ${replica.state}, not ${state}`;
    }
  }
  return "";
}

async function readFigures(neuron: NeuronProcess): Promise<readonly ModelFigures[]> {
  return ((await (await neuron.get("/models")).json()) as { models: ModelFigures[] }).models;
}

/** The gateway's counters say what the clients saw, as far as a client that left can know it. */
export function expectTrueCounts(
  metrics: string,
  outcomes: readonly Outcome[],
  tokensMax: number,
): void {
  const count = (kind: Outcome["kind"]) => outcomes.filter((one) => one.kind === kind).length;
  const [answered, left, broken] = [count("answered"), count("left"), count("broken")];
  const within = (value: number, least: number, most: number) => {
    expect(value).toBeGreaterThanOrEqual(least);
    expect(value).toBeLessThanOrEqual(most);
  };
  expect(sum(metrics, "cortex_in_flight")).toBe(0);
  expect(sum(metrics, "cortex_queue_depth")).toBe(0);
  // More models than fit were asked for: they have taken turns.
  expect(sum(metrics, "cortex_evictions_total")).toBeGreaterThan(0);
  // Who left may have left before the request was read, or after its answer had been written.
  within(sum(metrics, "cortex_requests_total"), answered + broken, answered + broken + left);
  within(sum(metrics, "cortex_requests_total", 'status="200"'), answered, answered + left);
  const tokens = outcomes.reduce(
    (total, one) => total + (one.kind === "answered" ? one.completionTokens : 0),
    0,
  );
  // What broke off, or was left, has been counted as far as it came.
  within(
    sum(metrics, "cortex_completion_tokens_total"),
    tokens,
    tokens + (left + broken) * tokensMax,
  );
}

/** Sums the samples of a counter or gauge, of those with the label where one is named. */
function sum(metrics: string, name: string, label = ""): number {
  let total = 0;
  for (const [, labels = "", value] of metrics.matchAll(
    new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, "gm"),
  )) {
    if (labels.includes(label)) total += Number(value);
  }
  return total;
}
