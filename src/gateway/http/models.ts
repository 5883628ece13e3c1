import { Elysia } from "elysia";
import { CortexError } from "../../base/errors.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { describeModel } from "../fleet/status.ts";

export interface ModelRoutesOptions {
  readonly fleet: Fleet;
  readonly nowMs: () => number;
}

/** As Anthropic's own limit. */
const PAGE_MODELS_MAX = 1_000;

/**
 * The catalogue in the words of both dialects at once: OpenAI's fields and Anthropic's stand side by side, so that
 * either kind of client reads it. Only `capabilities` means two things; who sends `anthropic-version` gets Anthropic's.
 */
export function modelRoutes(options: ModelRoutesOptions) {
  const { fleet, nowMs } = options;
  // When a model was made is nobody's to know here; when the gateway started is at least a time.
  const createdMs = nowMs();
  const describe = (entry: CatalogueEntry, headers: Headers) =>
    toModel(fleet, entry, { nowMs, createdMs, isAnthropic: headers.has("anthropic-version") });
  return new Elysia({ name: "models" })
    .get("/v1/models", ({ request }) => {
      const { searchParams } = new URL(request.url);
      const page = takePage(fleet.catalogue.entries, searchParams);
      return {
        object: "list",
        data: page.entries.map((entry) => describe(entry, request.headers)),
        has_more: page.hasMore,
        first_id: page.entries[0]?.id ?? null,
        last_id: page.entries.at(-1)?.id ?? null,
      };
    })
    .get("/v1/models/*", ({ params, request }) => {
      // Ids may hold slashes, plain or encoded.
      const name = decodeName(params["*"]);
      const entry = fleet.catalogue.find(name);
      if (entry !== undefined) return describe(entry, request.headers);
      throw new CortexError("model_not_found", `Model '${name}' does not exist`, {
        param: "model",
      });
    });
}

/** The entries between the cursors, which need not exist any more: the catalogue is sorted by id. */
function takePage(
  all: readonly CatalogueEntry[],
  query: URLSearchParams,
): { readonly entries: readonly CatalogueEntry[]; readonly hasMore: boolean } {
  const limit = readLimit(query.get("limit"));
  const before = query.get("before_id");
  const after = query.get("after_id");
  if (before !== null) {
    const earlier = all.filter(({ id }) => id < before);
    return { entries: earlier.slice(-limit), hasMore: earlier.length > limit };
  }
  const later = after === null ? all : all.filter(({ id }) => id > after);
  return { entries: later.slice(0, limit), hasMore: later.length > limit };
}

/** Without a limit everything is listed: OpenAI's clients do not ask for a second page. */
function readLimit(text: string | null): number {
  if (text === null || text === "") return Number.MAX_SAFE_INTEGER;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= PAGE_MODELS_MAX) return limit;
  throw new CortexError(
    "invalid_request",
    `Query 'limit' is ${JSON.stringify(text.slice(0, 32))}, but must be 1 to ${PAGE_MODELS_MAX}`,
    { param: "limit" },
  );
}

function decodeName(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // A stray percent sign: taken as it is, which no model is called.
    return path;
  }
}

function toModel(
  fleet: Fleet,
  entry: CatalogueEntry,
  options: {
    readonly nowMs: () => number;
    readonly createdMs: number;
    readonly isAnthropic: boolean;
  },
) {
  const status = describeModel(fleet, entry, { nowMs: options.nowMs(), loadedOnly: false });
  const { createdMs } = options;
  return {
    id: entry.id,
    object: "model",
    created: Math.floor(createdMs / 1_000),
    owned_by: "cortex",
    type: "model",
    display_name: entry.id,
    created_at: new Date(createdMs).toISOString(),
    lifecycle: "active",
    line: null,
    deprecated_at: null,
    retires_at: null,
    max_input_tokens: status.context > 0 ? status.context : null,
    max_tokens: status.context > 0 ? status.context : null,
    aliases: entry.aliases,
    state: status.state,
    neurons: status.replicas.map(({ neuron, state }) => ({ name: neuron, state })),
    context_length: status.context,
    context_train: status.context_train,
    capabilities: options.isAnthropic ? null : status.capabilities,
    architecture: status.architecture,
    parameters: status.parameters,
    quantization: status.quantization,
  };
}
