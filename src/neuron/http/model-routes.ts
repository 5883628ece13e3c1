import { CortexError } from "../../base/errors.ts";
import { type LeaseRequest, LeaseRequestSchema } from "../../protocol/leases.ts";
import { PlainModelListSchema, PlainModelSchema } from "../../protocol/model-list.ts";
import {
  type LoadRequest,
  LoadRequestSchema,
  ModelSchema,
  type PlanRequest,
  PlanRequestSchema,
  type UnloadRequest,
  UnloadRequestSchema,
} from "../../protocol/models.ts";
import type { Model } from "../models/model.ts";
import type { ModelRegistry } from "../models/registry.ts";
import {
  LEASE_FACTS,
  LIST_FACTS,
  LOAD_FACTS,
  ONE_FACTS,
  PLAN_FACTS,
  UNLOAD_FACTS,
} from "./model-facts.ts";
import { type Route, readControlBody } from "./route.ts";
import { taggedJson } from "./tagged-json.ts";

/** The catalogue, and what changes a model's state. */
export function modelRoutes(parts: {
  readonly registry: ModelRegistry;
  readonly isDraining: () => boolean;
}): readonly Route[] {
  const { registry } = parts;
  const refuseWhileDraining = () => {
    if (parts.isDraining()) {
      throw new CortexError("unavailable", "This neuron is stopping", { retryAfterSeconds: 5 });
    }
  };
  return [
    ...catalogueRoutes(registry),
    {
      method: "POST",
      path: "/models/load",
      summary: "Loads a model: 200 ready, 202 loading, 507 with what is needed and free",
      tag: "models",
      ...LOAD_FACTS,
      handle: async (request) => {
        refuseWhileDraining();
        const wanted = await readControlBody<LoadRequest>(request, LoadRequestSchema);
        const { model, admitted, done } = registry.load(wanted);
        await orAbort(wanted.wait === false ? admitted : done, request.signal);
        if (wanted.wait === false) return accepted(registry, model);
        return Response.json({ model: registry.view(model) });
      },
    },
    {
      method: "POST",
      path: "/models/unload",
      summary: "Lets requests end, then frees the model's memory",
      tag: "models",
      ...UNLOAD_FACTS,
      handle: async (request) => {
        const wanted = await readControlBody<UnloadRequest>(request, UnloadRequestSchema);
        return Response.json(await registry.unload(wanted, request.signal));
      },
    },
    leaseRoute(registry),
    {
      method: "POST",
      path: "/models/plan",
      summary: "What a load would take and whether it fits, without loading",
      tag: "models",
      ...PLAN_FACTS,
      handle: async (request) => {
        refuseWhileDraining();
        return Response.json(
          await registry.plan(await readControlBody<PlanRequest>(request, PlanRequestSchema)),
        );
      },
    },
  ];
}

function leaseRoute(registry: ModelRegistry): Route {
  return {
    method: "POST",
    path: "/models/leases",
    summary: "Takes all leases of one holder, in place of those that it had, until they expire",
    tag: "models",
    ...LEASE_FACTS,
    handle: async (request) =>
      Response.json(
        registry.setLeases(await readControlBody<LeaseRequest>(request, LeaseRequestSchema)),
      ),
  };
}

function catalogueRoutes(registry: ModelRegistry): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/models",
      summary:
        "Every model that this neuron can serve, with state and figures; 304 for If-None-Match",
      tag: "models",
      ...LIST_FACTS,
      handle: (request) => taggedJson(request, { models: registry.list() }),
    },
    {
      method: "GET",
      path: "/models/{id}",
      summary: "One model, by id or alias",
      tag: "models",
      answer: ModelSchema,
      ...ONE_FACTS,
      handle: (_, params) => Response.json(registry.view(registry.require(params["id"] ?? ""))),
    },
    ...openAiModelRoutes(registry),
  ];
}

/** The same catalogue in OpenAI's shape; what can never be loaded is left out. */
function openAiModelRoutes(registry: ModelRegistry): readonly Route[] {
  const createdSeconds = Math.floor(Date.now() / 1000);
  const show = (model: Model) => ({
    id: model.id,
    object: "model",
    created: createdSeconds,
    owned_by: "cortex",
  });
  return [
    {
      method: "GET",
      path: "/v1/models",
      summary: "Models in OpenAI's shape",
      tag: "openai",
      answer: PlainModelListSchema,
      errors: ["internal"],
      examples: [{ name: "all", summary: "All of them" }],
      handle: () => {
        const servable = registry.models().filter((model) => model.entry.problem === undefined);
        return Response.json({ object: "list", data: servable.map(show) });
      },
    },
    {
      method: "GET",
      path: "/v1/models/{id}",
      summary: "One model in OpenAI's shape",
      tag: "openai",
      answer: PlainModelSchema,
      ...ONE_FACTS,
      handle: (_, params) => Response.json(show(registry.require(params["id"] ?? ""))),
    },
  ];
}

/** 202 while it loads, 200 when it was ready already. */
function accepted(registry: ModelRegistry, model: Model): Response {
  const view = registry.view(model);
  return Response.json({ model: view }, { status: view.state === "ready" ? 200 : 202 });
}

/** A caller that leaves stops waiting; the load goes on, because others may wait for it too. */
async function orAbort(done: Promise<void>, signal: AbortSignal): Promise<void> {
  const left = new Promise<never>((_, reject) => {
    const leave = () => reject(new CortexError("cancelled", "The caller left"));
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
  await Promise.race([done, left]);
}
