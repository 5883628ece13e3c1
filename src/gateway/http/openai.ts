import { Elysia } from "elysia";
import { CortexError } from "../../base/errors.ts";
import { VERSION } from "../../base/version.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { describeHealth, describeModel } from "../fleet/status.ts";

/** When the gateway started, in seconds: what OpenAI's `created` of a model means is nobody's to know here. */
export interface OpenaiRoutesOptions {
  readonly fleet: Fleet;
  readonly nowMs: () => number;
}

/** Routes of the data plane that are handled beneath Elysia, for the cost of it. */
export const HOT_PATHS: ReadonlySet<string> = new Set([
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/rerank",
]);

/** The OpenAI dialect's quiet routes, and what probes ask. */
export function openaiRoutes(options: OpenaiRoutesOptions) {
  const { fleet, nowMs } = options;
  const createdSeconds = Math.floor(nowMs() / 1_000);
  const describe = (entry: CatalogueEntry) =>
    toOpenaiModel(fleet, entry, { nowMs, createdSeconds });
  return new Elysia({ name: "openai" })
    .get("/", () => `cortex ${VERSION}: an OpenAI-compatible API under /v1; see /swagger\n`)
    .get("/health", ({ set }) => {
      const health = describeHealth(fleet);
      if (health.state === "no_neurons") set.status = 503;
      return health;
    })
    .get("/v1/models", () => ({
      object: "list",
      data: fleet.catalogue.entries.map(describe),
    }))
    .get("/v1/models/*", ({ params }) => {
      // Ids may hold slashes, plain or encoded.
      const name = decodeName(params["*"]);
      const entry = fleet.catalogue.find(name);
      if (entry !== undefined) return describe(entry);
      throw new CortexError("model_not_found", `Model '${name}' does not exist`, {
        param: "model",
      });
    });
}

function decodeName(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // A stray percent sign: taken as it is, which no model is called.
    return path;
  }
}

function toOpenaiModel(
  fleet: Fleet,
  entry: CatalogueEntry,
  options: { readonly nowMs: () => number; readonly createdSeconds: number },
) {
  const status = describeModel(fleet, entry, options.nowMs());
  return {
    id: entry.id,
    object: "model",
    created: options.createdSeconds,
    owned_by: "cortex",
    aliases: entry.aliases,
    state: status.state,
    neurons: status.replicas.map(({ neuron, state }) => ({ name: neuron, state })),
    context_length: status.context,
    context_train: status.context_train,
    capabilities: status.capabilities,
    architecture: status.architecture,
    parameters: status.parameters,
    quantization: status.quantization,
  };
}
