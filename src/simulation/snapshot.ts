import { CortexError } from "../base/errors.ts";
import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { Device } from "../protocol/health.ts";
import type { ModelStatus, ReplicaStatus, Status } from "../protocol/status.ts";
import type { ModelSpec, NeuronSpec } from "./specs.ts";

/** What to reckon with where nobody has measured: the router's own guesses. */
const PREFILL_TOKENS_PER_SECOND_GUESS = 1_000;
const DECODE_TOKENS_PER_SECOND_GUESS = 30;
const LOAD_SECONDS_BASE = 2;
const LOAD_BYTES_PER_SECOND = 1e9;
/** Part of the weights that context and buffers take, where nobody has planned. */
const CONTEXT_PART_GUESS = 0.15;
/** As the neurons' own default. */
const QUEUE_MAX = 256;

/** The neurons of a configuration as a status shows them. Throws `invalid_config` for those that it does not show. */
export function readSnapshot(status: Status, config: GatewayConfig): NeuronSpec[] {
  const wanted = config.neurons.filter(({ kind }) => kind === "neuron");
  const missing = wanted.filter(({ name }) => !isShown(status, name)).map(({ name }) => name);
  if (missing.length > 0) {
    const shown = status.neurons.map(({ name }) => name).join(", ") || "none";
    throw new CortexError(
      "invalid_config",
      `The snapshot shows no devices of ${missing.join(", ")}; it shows ${shown}`,
      { hint: "cortex status --json > snapshot.json while these neurons are up" },
    );
  }
  return wanted.map(({ name }) => ({
    name,
    ...describeHost(status, name),
    queueMax: QUEUE_MAX,
  }));
}

function describeHost(status: Status, name: string): Pick<NeuronSpec, "devices" | "models"> {
  const shown = status.neurons.find((neuron) => neuron.name === name)?.devices ?? [];
  const devices = preferred(shown);
  const models = status.models.flatMap((model) =>
    model.replicas
      .filter((replica) => replica.neuron === name)
      .map((replica) => toModelSpec(model, replica, devices)),
  );
  const totals = devices.map(({ memory_total_bytes }) => ({ totalBytes: memory_total_bytes }));
  return { devices: totals, models };
}

/** Where a neuron puts models by itself: not into the host's memory while there are other devices. */
function preferred(devices: readonly Device[]): readonly Device[] {
  const others = devices.filter(({ kind }) => kind !== "cpu");
  return others.length === 0 ? devices : others;
}

/** The neurons of a status as the entries of a configuration would name them. */
export function listNeurons(status: Status): GatewayConfig["neurons"] {
  return status.neurons
    .filter(({ kind, devices }) => (kind ?? "neuron") === "neuron" && devices.length > 0)
    .map(({ name, endpoint }) => ({ name, endpoint, kind: "neuron" as const }));
}

function isShown(status: Status, name: string): boolean {
  return status.neurons.some((neuron) => neuron.name === name && neuron.devices.length > 0);
}

function toModelSpec(
  model: ModelStatus,
  replica: ReplicaStatus,
  devices: readonly Device[],
): ModelSpec {
  const { file_bytes } = model;
  const { bytes } = replica;
  // Devices are counted as they are shown here.
  const loadedOn = replica.devices
    .map((index) => devices.findIndex((device) => device.index === index))
    .filter((at) => at >= 0);
  const isLoaded = replica.state === "ready" || replica.state === "loading";
  return {
    id: model.source,
    aliases: [],
    bytes: bytes === undefined ? file_bytes : bytes.weights + bytes.compute,
    contextBytes: bytes === undefined ? file_bytes * CONTEXT_PART_GUESS : bytes.context,
    slots: Math.max(1, replica.slots),
    context: Math.max(1, replica.context),
    loadSeconds: replica.load_seconds ?? LOAD_SECONDS_BASE + file_bytes / LOAD_BYTES_PER_SECOND,
    prefillTokensPerSecond: replica.prefill_tokens_per_second ?? PREFILL_TOKENS_PER_SECOND_GUESS,
    decodeTokensPerSecond: replica.decode_tokens_per_second ?? DECODE_TOKENS_PER_SECOND_GUESS,
    loaded: isLoaded,
    ...(isLoaded && loadedOn.length > 0 ? { loadedOn } : {}),
    pinned: replica.pinned,
  };
}
