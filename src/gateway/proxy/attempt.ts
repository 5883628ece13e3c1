import type { AnswerTranslator, UpstreamKind } from "../../translate/dialects.ts";
import { ANTHROPIC_VERSION, type Upstream } from "../upstream/upstream.ts";
import type { Ask } from "./ask.ts";
import type { Endpoint, EndpointName } from "./endpoints.ts";
import { planTranslated } from "./plan-translated.ts";
import { replaceModel } from "./routing-fields.ts";
import { CHAT_GRAMMAR, MESSAGES_GRAMMAR, type TapGrammar } from "./tap-grammar.ts";
import type { ThinkingCache } from "./thinking-cache.ts";

/** A request as it goes to one upstream, and what its answer goes through on the way back. */
export interface Attempt {
  readonly upstream: Upstream;
  readonly path: string;
  readonly headers: string;
  readonly body: Uint8Array | string;
  /** Undefined where bytes pass untouched. */
  readonly answer: AnswerTranslator | undefined;
  /** How a stream that passes untouched is read on the way. */
  readonly grammar: TapGrammar;
  /** Names of fields that the upstream does not get. */
  readonly dropped: readonly string[];
}

/** Which upstreams take a request as it is; every other pair is translated. */
const PASSES: Readonly<Record<EndpointName, readonly UpstreamKind[]>> = {
  chat: ["neuron", "openai"],
  completions: ["neuron", "openai"],
  embeddings: ["neuron", "openai"],
  rerank: ["neuron", "openai"],
  messages: ["anthropic"],
  count_tokens: ["anthropic"],
  responses: [],
};
const NOTHING: readonly string[] = [];

/** Whether bytes go to this kind of upstream and back as they are. */
export function passes(endpoint: Endpoint, kind: UpstreamKind): boolean {
  return PASSES[endpoint.name].includes(kind);
}

/** Makes the request for one upstream. Throws `invalid_request` for a body that cannot be said in its dialect. */
export function planAttempt(ask: Ask, upstream: Upstream, thinking: ThinkingCache): Attempt {
  const { endpoint, model, body } = ask;
  const id = upstream.idOf(ask.source);
  if (passes(endpoint, upstream.kind)) {
    return {
      upstream,
      path: upstream.pathOf(endpoint.route),
      headers: formatHeaders(ask, upstream),
      body: model === id ? body : replaceModel(body, id),
      answer: undefined,
      grammar: upstream.kind === "anthropic" ? MESSAGES_GRAMMAR : CHAT_GRAMMAR,
      dropped: NOTHING,
    };
  }
  const translation = planTranslated(ask, { kind: upstream.kind, id, thinking });
  return {
    upstream,
    path: upstream.pathOf(translation.path),
    headers: formatHeaders(ask, upstream),
    body: JSON.stringify(translation.body),
    answer: translation.answer,
    grammar: CHAT_GRAMMAR,
    dropped: translation.dropped,
  };
}

/** The client's own key is never among them: each upstream has the one that the configuration names. */
function formatHeaders(ask: Ask, upstream: Upstream): string {
  const base = `Content-Type: application/json\r\nX-Request-Id: ${ask.requestId}\r\n`;
  if (upstream.kind === "neuron") return base;
  if (upstream.kind === "openai") return base + upstream.headerLines;
  const own = ask.forwarded === "" ? `Anthropic-Version: ${ANTHROPIC_VERSION}\r\n` : ask.forwarded;
  return base + upstream.headerLines + own;
}
