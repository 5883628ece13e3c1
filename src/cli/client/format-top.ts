import { formatBytes } from "../../base/units.ts";
import type { FeedState, ModelView } from "../../protocol/feed.ts";
import type { Top } from "../../protocol/top.ts";
import type { Style } from "../frame/style.ts";
import { formatTable } from "../frame/table.ts";

/** The fleet's state as lines that can be counted. */
export function toTop(state: FeedState, nowMs: number): Top {
  const gateway = state.gateway.get("gateway");
  const sample = [...state.history.values()].at(-1);
  return {
    state: gateway?.state ?? "unknown",
    in_flight: gateway?.in_flight ?? 0,
    waiting: gateway?.waiting ?? 0,
    loads: gateway?.loads ?? 0,
    tokens_per_second: sample?.completion_rate ?? null,
    ttft_p50_seconds: sample?.ttft_p50_seconds ?? null,
    neurons: [...state.neurons].map(([name, neuron]) => {
      const total = neuron.devices.reduce((sum, { total_bytes }) => sum + total_bytes, 0);
      const free = neuron.devices.reduce((sum, { free_bytes }) => sum + free_bytes, 0);
      const used = { used_bytes: total - free, total_bytes: total };
      return { name, state: neuron.state, in_flight: neuron.in_flight, ...used };
    }),
    models: [...state.models]
      .filter(([, { state: of, waiting }]) => of !== "absent" || waiting > 0)
      .map(([model, view]) => toModelLine(model, view)),
    requests: [...state.requests.values()].map((request) => ({
      model: request.model,
      endpoint: request.endpoint,
      phase: request.phase,
      neuron: request.neuron,
      reason: request.reason,
      seconds: Math.max(0, nowMs - request.started_ms) / 1_000,
      ttft_seconds: request.ttft_seconds,
      tokens: request.tokens,
    })),
    requests_unlisted: gateway?.requests_unlisted ?? 0,
  };
}

function toModelLine(model: string, view: ModelView): Top["models"][number] {
  const held = view.replicas.filter(({ state }) => state !== "absent");
  const progress = held.find(({ state }) => state === "loading")?.progress;
  return {
    ...{ model, state: view.state, in_flight: view.in_flight, waiting: view.waiting },
    ...(progress === undefined ? {} : { progress }),
    neurons: held.map(({ neuron }) => neuron),
    slots: held.reduce((sum, { slots }) => sum + slots, 0),
    tokens_per_second: Math.max(0, ...held.map((one) => one.decode_tokens_per_second ?? 0)),
  };
}

/** Three tables below a headline, cut to the screen's height where that is given. */
export function formatTop(
  top: Top,
  { style, rows }: { readonly style: Style; readonly rows: number | undefined },
): string {
  const paintHeader = style.bold;
  const paint = top.state === "ok" ? style.green : style.red;
  const rate = top.tokens_per_second === null ? "-" : top.tokens_per_second.toFixed(1);
  const headline = [
    `cortex ${paint(top.state.replace("_", " "))}`,
    `${top.in_flight} in flight`,
    `${top.waiting} waiting`,
    `${top.loads} loading`,
    `${rate} tok/s`,
    `first token ${seconds(top.ttft_p50_seconds)}`,
  ].join("  ");
  const neurons = formatTable(
    ["NEURON", "STATE", "IN FLIGHT", "USED", "TOTAL"],
    top.neurons.map((one) => [
      ...[one.name, one.state, String(one.in_flight)],
      ...[formatBytes(one.used_bytes), formatBytes(one.total_bytes)],
    ]),
    { right: ["IN FLIGHT", "USED", "TOTAL"], paintHeader },
  );
  const models = formatTable(
    ["MODEL", "STATE", "NEURONS", "IN FLIGHT", "WAITING", "SLOTS", "TOK/S"],
    top.models.map((one) => [
      one.model,
      one.progress === undefined ? one.state : `loading ${Math.round(one.progress * 100)} %`,
      one.neurons.join(",") || "-",
      ...[String(one.in_flight), String(one.waiting), String(one.slots)],
      one.tokens_per_second === 0 ? "-" : one.tokens_per_second.toFixed(1),
    ]),
    { right: ["IN FLIGHT", "WAITING", "SLOTS", "TOK/S"], paintHeader },
  );
  const requests = formatTable(
    ["REQUEST", "PHASE", "NEURON", "REASON", "SECONDS", "TTFT", "TOKENS"],
    top.requests.map((one) => [
      ...[`${one.model} (${one.endpoint})`, one.phase, one.neuron ?? "-", one.reason ?? "-"],
      ...[one.seconds.toFixed(1), seconds(one.ttft_seconds), String(one.tokens)],
    ]),
    { right: ["SECONDS", "TTFT", "TOKENS"], paintHeader },
  );
  const more = top.requests_unlisted === 0 ? [] : [`and ${top.requests_unlisted} more requests`];
  const text = [headline, "", neurons, "", models, "", requests, ...more, ""].join("\n");
  if (rows === undefined) return text;
  const lines = text.split("\n");
  const fits = lines.length <= rows;
  return fits ? text : [...lines.slice(0, Math.max(1, rows - 2)), style.dim("…"), ""].join("\n");
}

function seconds(value: number | null): string {
  return value === null ? "-" : `${value.toFixed(2)} s`;
}
