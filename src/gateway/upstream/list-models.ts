import { CortexError } from "../../base/errors.ts";
import type { Model } from "../../protocol/models.ts";
import { callJson, type JsonAnswer, type JsonCallOptions } from "./json-call.ts";
import { ANTHROPIC_VERSION, type ListedModel, type Upstream } from "./upstream.ts";

/** As the configuration's own limit: more models than this are a broken pagination. */
const MODELS_MAX = 1_000;
const PAGE_MODELS = 1_000;
const PAGES_MAX = 10;

/**
 * Asks an API what it has, and so whether it is there; with a list in the configuration only the latter. Rejects as
 * {@link callJson}, and with `unauthorized` when the key is refused.
 */
export async function listModels(upstream: Upstream, options: JsonCallOptions): Promise<Model[]> {
  const { listed } = upstream;
  if (listed !== undefined) {
    await probe(upstream, options);
    return listed.map((model) => toReport(upstream, model));
  }
  const found = new Map<string, ListedModel>();
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const body = await fetchPage(upstream, { after, ...options });
    for (const model of readModels(body)) found.set(model.id, model);
    const { has_more, last_id } = body as { has_more?: unknown; last_id?: unknown };
    if (has_more !== true || typeof last_id !== "string" || last_id === after) break;
    after = last_id;
  }
  return [...found.values()].slice(0, MODELS_MAX).map((model) => toReport(upstream, model));
}

/** An API that answers is there, whatever it says of its list; not every one has such a route. */
async function probe(upstream: Upstream, options: JsonCallOptions): Promise<void> {
  try {
    assertWilling(upstream, await fetchList(upstream, "", options));
  } catch (thrown) {
    // A page that is no JSON comes from a proxy or an unknown route: the host is there.
    if (!(thrown instanceof CortexError) || thrown.code !== "neuron_failed") throw thrown;
    if (!(thrown.cause instanceof SyntaxError)) throw thrown;
  }
}

async function fetchPage(
  upstream: Upstream,
  options: JsonCallOptions & { readonly after: string | undefined },
): Promise<unknown> {
  const { after } = options;
  const next = after === undefined ? "" : `&after_id=${encodeURIComponent(after)}`;
  const query = upstream.kind === "anthropic" ? `?limit=${PAGE_MODELS}${next}` : "";
  const answer = await fetchList(upstream, query, options);
  assertWilling(upstream, answer);
  if (answer.status === 200) return answer.body;
  throw new CortexError("neuron_failed", `Its list of models is answered with ${answer.status}`);
}

async function fetchList(
  upstream: Upstream,
  query: string,
  options: JsonCallOptions,
): Promise<JsonAnswer> {
  const version =
    upstream.kind === "anthropic" ? `Anthropic-Version: ${ANTHROPIC_VERSION}\r\n` : "";
  return await callJson(
    upstream.origin,
    {
      method: "GET",
      path: upstream.pathOf("/v1/models") + query,
      headers: `${upstream.headerLines}${version}Accept: application/json\r\n`,
      body: undefined,
    },
    options,
  );
}

function assertWilling(upstream: Upstream, answer: JsonAnswer): void {
  const { status } = answer;
  if (status === 401 || status === 403) {
    throw new CortexError("unauthorized", `${upstream.name} refuses the gateway's key (${status})`);
  }
  if (status >= 500) {
    throw new CortexError("unavailable", `${upstream.name} answers ${status}`);
  }
}

function readModels(body: unknown): ListedModel[] {
  const data = (body as { data?: unknown } | null)?.data;
  if (!Array.isArray(data)) {
    throw new CortexError("neuron_failed", "Its list of models has no 'data'");
  }
  return data.flatMap((item: unknown) => {
    const { id, max_model_len, context_length, max_input_tokens } = (item ?? {}) as {
      id?: unknown;
      max_model_len?: unknown;
      context_length?: unknown;
      max_input_tokens?: unknown;
    };
    if (typeof id !== "string" || id === "") return [];
    const context = [max_model_len, context_length, max_input_tokens].find(isTokens);
    return [{ id, name: id, context }];
  });
}

function isTokens(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

/** A model of an API in the words of a neuron: always ready, of no size that matters here. */
function toReport(upstream: Upstream, model: ListedModel): Model {
  return {
    id: model.name,
    aliases: [],
    state: "ready",
    devices: [],
    context: model.context ?? 0,
    slots: upstream.slots,
    pinned: false,
    in_flight: 0,
    queued: 0,
    slots_busy: 0,
    last_used_ms: 0,
    prompt_tokens: 0,
    cached_prompt_tokens: 0,
    completion_tokens: 0,
    capabilities: ["chat"],
    digest: "",
    file_bytes: 0,
    architecture: "",
    parameters: 0,
    quantization: "",
    context_train: 0,
  };
}
