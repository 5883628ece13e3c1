import { CortexError } from "../../base/errors.ts";
import type { NeuronMetrics } from "../../metrics/neuron-metrics.ts";
import { readNames } from "../../metrics/vllm-names.ts";
import { NeuronEventSchema } from "../../protocol/events.ts";
import {
  type Discovery,
  DiscoverySchema,
  type Health,
  HealthSchema,
} from "../../protocol/health.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { ModelRegistry } from "../models/registry.ts";
import { parseJsonObject } from "../requests/json-body.ts";
import { eventsResponse } from "./events-response.ts";
import { readBody } from "./read-body.ts";
import type { Route } from "./route.ts";

/** What the neuron says of itself. */
export interface NeuronSelf {
  health(): Health;
  discovery(): Discovery;
}

/** Health, discovery, events and metrics. */
export function neuronRoutes(parts: {
  readonly self: NeuronSelf;
  readonly hub: EventHub;
  readonly metrics: NeuronMetrics;
}): readonly Route[] {
  const { self, hub, metrics } = parts;
  return [
    {
      method: "GET",
      path: "/health",
      summary: "State of the daemon and its devices",
      tag: "neuron",
      answer: HealthSchema,
      isOpen: true,
      handle: () => Response.json(self.health()),
    },
    {
      method: "GET",
      path: "/discovery",
      summary: "Host, engine, backends and devices",
      tag: "neuron",
      answer: DiscoverySchema,
      handle: () => Response.json(self.discovery()),
    },
    {
      method: "GET",
      path: "/events",
      summary:
        "Server-sent events: a snapshot, or what came after Last-Event-ID; then every change",
      tag: "neuron",
      answer: NeuronEventSchema,
      handle: (request) => eventsResponse(hub, request),
    },
    {
      method: "GET",
      path: "/metrics",
      summary: "Figures for Prometheus; ?compat=vllm for some of them under the names of vLLM",
      tag: "neuron",
      handle: async (request) => {
        const names = readNames(new URL(request.url).searchParams);
        return new Response(await metrics.render(names), {
          headers: { "content-type": metrics.contentType },
        });
      },
    },
  ];
}

/** Arms faults on the engine's real abort path; there in tests alone. */
export function faultRoute(registry: ModelRegistry): Route {
  return {
    method: "POST",
    path: "/test/fault",
    summary: "Arms a fault on a device (tests only)",
    tag: "neuron",
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
