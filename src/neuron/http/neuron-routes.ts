import { Type as t } from "@sinclair/typebox";
import { COMMON_ERRORS } from "../../api-docs/routes/errors.ts";
import { CortexError } from "../../base/errors.ts";
import type { LogStream } from "../../kept-log/log-stream.ts";
import type { NeuronMetrics } from "../../metrics/neuron-metrics.ts";
import { readNames } from "../../metrics/vllm-names.ts";
import { type NeuronDrainRequest, NeuronDrainRequestSchema } from "../../protocol/drains.ts";
import {
  type Discovery,
  DiscoverySchema,
  type Health,
  HealthSchema,
} from "../../protocol/health.ts";
import { words } from "../../protocol/openai/request-schema.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { ModelRegistry } from "../models/registry.ts";
import { parseJsonObject } from "../requests/json-body.ts";
import { NEURON_EVENTS } from "./event-facts.ts";
import { eventsResponse } from "./events-response.ts";
import { logRoute } from "./log-route.ts";
import { readBody } from "./read-body.ts";
import { type Route, readControlBody } from "./route.ts";

const METRICS_FACTS = {
  parameters: [
    {
      name: "compat",
      in: "query",
      description: "vllm tells some of them under the names of vLLM",
      schema: words("vllm"),
    },
  ],
  contentType: "text/plain; version=0.0.4; charset=utf-8",
  errors: ["internal", "invalid_request"],
  examples: [
    { name: "all", summary: "All of them" },
    { name: "vllm", summary: "Under vLLM's names", query: { compat: "vllm" } },
    {
      name: "unknown",
      summary: "Names of nobody",
      query: { compat: "nobody" },
      error: "invalid_request",
    },
  ],
} as const;

/** What the neuron says of itself. */
export interface NeuronSelf {
  health(): Health;
  discovery(): Discovery;
  /** Keeps whether an operator takes it out. */
  setDrained(isDrained: boolean): Promise<Health>;
}

const DRAIN_FACTS = {
  body: NeuronDrainRequestSchema,
  answer: HealthSchema,
  errors: [...COMMON_ERRORS, "body_too_large", "timeout"],
  examples: [
    { name: "out", summary: "Gateways are to send nothing new", body: { drained: true } },
    { name: "back", summary: "It takes requests again", body: { drained: false } },
    {
      name: "perhaps",
      summary: "Neither yes nor no",
      body: { drained: "perhaps" },
      error: "invalid_request",
    },
  ],
} as const;

/** Health, discovery, drains, events, the log and metrics. */
export function neuronRoutes(parts: {
  readonly self: NeuronSelf;
  readonly hub: EventHub;
  readonly logs: LogStream;
  readonly metrics: NeuronMetrics;
}): readonly Route[] {
  const { self, hub, logs, metrics } = parts;
  return [
    {
      method: "GET",
      path: "/health",
      summary: "State of the daemon and its devices",
      tag: "neuron",
      answer: HealthSchema,
      isOpen: true,
      examples: [{ name: "health", summary: "Is it well" }],
      handle: () => Response.json(self.health()),
    },
    {
      method: "GET",
      path: "/discovery",
      summary: "Host, engine, backends and devices",
      tag: "neuron",
      answer: DiscoverySchema,
      errors: ["internal"],
      examples: [{ name: "all", summary: "What there is" }],
      handle: () => Response.json(self.discovery()),
    },
    drainRoute(self, hub),
    {
      method: "GET",
      path: "/events",
      summary:
        "Server-sent events: a snapshot, or what came after Last-Event-ID; then every change",
      tag: "neuron",
      parameters: [
        {
          name: "last-event-id",
          in: "header",
          description: "The id of the last event that was read",
          schema: t.String(),
        },
      ],
      events: NEURON_EVENTS,
      errors: ["internal", "queue_full"],
      examples: [{ name: "follow", summary: "From now on" }],
      handle: (request) => eventsResponse(hub, request),
    },
    logRoute(logs),
    {
      method: "GET",
      path: "/metrics",
      summary: "Figures for Prometheus; ?compat=vllm for some of them under the names of vLLM",
      tag: "neuron",
      ...METRICS_FACTS,
      handle: async (request) => {
        const names = readNames(new URL(request.url).searchParams);
        return new Response(await metrics.render(names), {
          headers: { "content-type": metrics.contentType },
        });
      },
    },
  ];
}

function drainRoute(self: NeuronSelf, hub: EventHub): Route {
  return {
    method: "POST",
    path: "/drain",
    summary: "Takes the neuron out for every gateway, or back; kept over restarts",
    tag: "neuron",
    ...DRAIN_FACTS,
    handle: async (request) => {
      const { drained } = await readControlBody<NeuronDrainRequest>(
        request,
        NeuronDrainRequestSchema,
      );
      const health = await self.setDrained(drained);
      hub.tellHealth(health);
      return Response.json(health);
    },
  };
}

/** Arms faults on the engine's real abort path; there in tests alone. */
export function faultRoute(registry: ModelRegistry): Route {
  return {
    method: "POST",
    path: "/test/fault",
    summary: "Arms a fault on a device (tests only)",
    tag: "neuron",
    body: t.Object({ model: t.Optional(t.String()) }),
    answer: t.Object({ armed: t.Literal(true) }),
    errors: [...COMMON_ERRORS, "model_not_found", "conflict"],
    examples: [
      {
        name: "no-name",
        summary: "A model's name that is none",
        body: { model: 7 },
        error: "invalid_request",
      },
    ],
    handle: async (request) => {
      const { model, ...fault } = parseJsonObject(await readBody(request, 65_536));
      if (model !== undefined && typeof model !== "string") {
        throw new CortexError("invalid_request", "'model' must be a string", { param: "model" });
      }
      await registry.armFault(fault, model);
      return Response.json({ armed: true });
    },
  };
}
