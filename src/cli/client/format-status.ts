import { formatAge, formatBytes } from "../../base/units.ts";
import type { NeuronStatus, ReplicaStatus, Status } from "../../protocol/status.ts";
import type { Style } from "../frame/style.ts";
import { type Cell, formatTable } from "../frame/table.ts";

/** The text of `cortex status`: a headline, the neurons' devices, the models that are not absent, what is wrong. */
export function formatStatus(
  status: Status,
  options: { readonly style: Style; readonly nowMs: number },
): string {
  const { style } = options;
  const absent =
    status.absent_models ?? status.models.filter((model) => model.state === "absent").length;
  const loaded = status.models.flatMap((model) =>
    model.replicas
      .filter((replica) => replica.state !== "absent")
      .map((replica) => replicaRow(model.id, replica, options)),
  );
  const rest =
    absent === 0 ? [] : [style.dim(`${absent} more can be loaded on demand: cortex models`)];
  const problems = listProblems(status).map((line) => `  ${line}`);
  return [
    formatHeadline(status, style),
    "",
    formatTable(
      ["NEURON", "STATE", "DEVICE", "FREE", "TOTAL", "IN FLIGHT", "SEEN", "NAME"],
      status.neurons.flatMap((neuron) => neuronRows(neuron, options)),
      { right: ["FREE", "TOTAL", "IN FLIGHT", "SEEN"], paintHeader: style.bold },
    ),
    "",
    formatTable(
      ["MODEL", "STATE", "NEURON", "DEVICES", "MEMORY", "CONTEXT", "SLOTS", ...RIGHT_END],
      loaded,
      { right: ["MEMORY", "CONTEXT", "SLOTS", ...RIGHT_END], paintHeader: style.bold },
    ),
    ...rest,
    ...(problems.length === 0 ? [] : ["", style.bold("Problems:"), ...problems]),
    "",
  ].join("\n");
}

const RIGHT_END = ["IN FLIGHT", "WAITING", "TOK/S", "USED"];

/** Whether anything is wrong that an operator should look at. */
export function isDegraded(status: Status): boolean {
  return status.state !== "ok" || listProblems(status).length > 0;
}

function formatHeadline(status: Status, style: Style): string {
  const paint = status.state === "ok" ? style.green : style.red;
  return [
    `cortex ${status.version}`,
    paint(status.state.replace("_", " ")),
    `up ${formatAge(status.uptime_seconds * 1000)}`,
    `${status.in_flight} in flight`,
    `${status.waiting} waiting`,
    `${status.loads} loading`,
    `eviction ${status.eviction_strategy}`,
  ].join("  ");
}

function neuronRows(
  neuron: NeuronStatus,
  options: { readonly style: Style; readonly nowMs: number },
): Cell[][] {
  const { style, nowMs } = options;
  const paint =
    neuron.state === "up" ? style.green : neuron.state === "down" ? style.red : style.yellow;
  const seen =
    neuron.last_seen_ms === 0 ? "never" : formatAge(Math.max(0, nowMs - neuron.last_seen_ms));
  const state = neuron.stale === true ? `${neuron.state} (stale)` : neuron.state;
  const own: Cell[] = [neuron.name, { text: state, paint }];
  if (neuron.devices.length === 0) {
    const kind = neuron.kind === undefined || neuron.kind === "neuron" ? "-" : neuron.kind;
    return [[...own, kind, "-", "-", String(neuron.in_flight), seen, neuron.endpoint]];
  }
  return neuron.devices.map((device, index) => [
    ...(index === 0 ? own : ["", ""]),
    device.state === "ok"
      ? `${device.index} ${device.kind}`
      : { text: `${device.index} ${device.kind} ${device.state}`, paint: style.red },
    formatBytes(device.memory_free_bytes),
    formatBytes(device.memory_total_bytes),
    index === 0 ? String(neuron.in_flight) : "",
    index === 0 ? seen : "",
    device.description ?? device.name,
  ]);
}

function replicaRow(
  id: string,
  replica: ReplicaStatus,
  options: { readonly style: Style; readonly nowMs: number },
): Cell[] {
  const { style, nowMs } = options;
  const { bytes, decode_tokens_per_second: speed } = replica;
  const isBad = replica.state === "failed" || replica.state === "poisoned";
  const paint = isBad ? style.red : replica.state === "ready" ? style.green : style.yellow;
  const progress =
    replica.progress === undefined || replica.state !== "loading"
      ? ""
      : ` ${Math.round(replica.progress * 100)} %`;
  return [
    replica.pinned ? `${id} (pinned)` : id,
    { text: `${replica.state}${progress}`, paint },
    replica.neuron,
    replica.devices.join(",") || "-",
    bytes === undefined ? "-" : formatBytes(bytes.weights + bytes.context + bytes.compute),
    String(replica.context),
    `${replica.slots_busy}/${replica.slots}`,
    String(replica.in_flight),
    String(replica.waiting),
    speed === undefined || speed === 0 ? "-" : speed.toFixed(1),
    replica.last_used_ms === 0 ? "never" : formatAge(Math.max(0, nowMs - replica.last_used_ms)),
  ];
}

function listProblems(status: Status): string[] {
  const neurons = status.neurons.flatMap((neuron) => [
    ...(neuron.state === "down" || neuron.state === "unknown"
      ? [`neuron ${neuron.name} is ${neuron.state}: ${neuron.cause ?? neuron.endpoint}`]
      : []),
    ...(neuron.state === "degraded" && neuron.cause !== undefined
      ? [`neuron ${neuron.name} ${neuron.cause}`]
      : []),
    ...neuron.devices
      .filter((device) => device.state !== "ok")
      .map((device) => {
        const cause = device.cause ?? "see the neuron's log";
        return `device ${device.index} of ${neuron.name} is ${device.state}: ${cause}`;
      }),
  ]);
  const models = status.models.flatMap((model) =>
    model.replicas
      .filter((replica) => replica.state === "failed" || replica.state === "poisoned")
      .map((replica) => {
        const again =
          replica.cooldown_seconds === undefined
            ? ""
            : ` (tried again in ${replica.cooldown_seconds} s)`;
        const cause = replica.cause ?? "see the neuron's log";
        return `${model.id} on ${replica.neuron} is ${replica.state}: ${cause}${again}`;
      }),
  );
  return [...neurons, ...models];
}
