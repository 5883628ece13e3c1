import { Type as t } from "@sinclair/typebox";
import { CortexError } from "../../base/errors.ts";
import {
  type LeaseRequest,
  LeaseRequestSchema,
  LeaseResponseSchema,
} from "../../protocol/leases.ts";
import {
  type LoadRequest,
  LoadRequestSchema,
  LoadResponseSchema,
  ModelListSchema,
  ModelSchema,
  type PlanRequest,
  PlanRequestSchema,
  PlanResponseSchema,
  type UnloadRequest,
  UnloadRequestSchema,
  UnloadResponseSchema,
} from "../../protocol/models.ts";
import type { Model } from "../models/model.ts";
import type { ModelRegistry } from "../models/registry.ts";
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
      body: LoadRequestSchema,
      answer: LoadResponseSchema,
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
      body: UnloadRequestSchema,
      answer: UnloadResponseSchema,
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
      body: PlanRequestSchema,
      answer: PlanResponseSchema,
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
    body: LeaseRequestSchema,
    answer: LeaseResponseSchema,
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
      answer: ModelListSchema,
      handle: (request) => taggedJson(request, { models: registry.list() }),
    },
    {
      method: "GET",
      path: "/models/{id}",
      summary: "One model, by id or alias",
      tag: "models",
      answer: ModelSchema,
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
      tag: "inference",
      answer: t.Object({ object: t.Literal("list"), data: t.Array(t.Unknown()) }),
      handle: () => {
        const servable = registry.models().filter((model) => model.entry.problem === undefined);
        return Response.json({ object: "list", data: servable.map(show) });
      },
    },
    {
      method: "GET",
      path: "/v1/models/{id}",
      summary: "One model in OpenAI's shape",
      tag: "inference",
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
