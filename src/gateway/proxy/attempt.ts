import type { Writable } from "../../base/byte-span.ts";
import { PREFIX_HEADER } from "../../protocol/prefixes.ts";
import type { AnswerTranslator } from "../../translate/dialects.ts";
import type { StoredRequest } from "../../translate/responses/request-to-chat.ts";
import { ANTHROPIC_VERSION, type Upstream } from "../upstream/upstream.ts";
import type { AnswerMemory } from "./answer-memory.ts";
import type { Ask } from "./ask.ts";
import type { EndpointName } from "./endpoints.ts";
import { estimateTokens } from "./estimate-tokens.ts";
import { planTranslated } from "./plan-translated.ts";
import { readBody } from "./read-body.ts";
import { replaceModel } from "./routing-fields.ts";
import { CHAT_GRAMMAR, MESSAGES_GRAMMAR, type TapGrammar } from "./tap-grammar.ts";

/** A request as it goes to one upstream, and what its answer goes through on the way back. */
export interface Attempt {
  readonly upstream: Upstream;
  readonly path: string;
  readonly headers: string;
  readonly body: Writable;
  /** Undefined where bytes pass untouched. */
  readonly answer: AnswerTranslator | undefined;
  /** Whether it asks for chat, in the words of the client or of a translator. */
  readonly isChat: boolean;
  /** How a stream that passes untouched is read on the way. */
  readonly grammar: TapGrammar;
  /** The tokens of a request that only asks for their count, where the upstream counts none. */
  readonly estimate: number | undefined;
  /** What is kept beside the answer of a response that its client may refer to later. */
  readonly stored: StoredRequest | undefined;
  /** Names of fields that the upstream does not get. */
  readonly dropped: readonly string[];
}

/** Endpoints whose requests no upstream needs changed: those that have them at all speak one dialect. */
const UNCHANGED: ReadonlySet<EndpointName> = new Set(["completions", "embeddings", "rerank"]);
const NOTHING: readonly string[] = [];

/** Makes the request for one upstream. Throws `invalid_request` for a body that cannot be said in its dialect. */
export function planAttempt(ask: Ask, upstream: Upstream, memory: AnswerMemory): Attempt {
  const { name } = ask.endpoint;
  const { kind } = upstream;
  // Most requests: nothing of them is parsed.
  if ((name === "chat" && kind === "neuron") || UNCHANGED.has(name))
    return planPassed(ask, upstream);
  if (name === "count_tokens" && kind === "openai") return planEstimate(ask, upstream);
  const translation = planTranslated(ask, { kind, id: upstream.idOf(ask.source), memory });
  if (translation === undefined) return planPassed(ask, upstream);
  return {
    upstream,
    path: upstream.pathOf(translation.path),
    headers: formatHeaders(ask, upstream),
    body: JSON.stringify(translation.body),
    answer: translation.answer,
    isChat: true,
    grammar: grammarOf(upstream),
    estimate: undefined,
    stored: translation.stored,
    dropped: translation.dropped,
  };
}

function planPassed(ask: Ask, upstream: Upstream): Attempt {
  const { endpoint, model, body } = ask;
  const id = upstream.idOf(ask.source);
  return {
    upstream,
    path: upstream.pathOf(endpoint.route),
    headers: formatHeaders(ask, upstream),
    body: model === id ? body : replaceModel(body, id),
    answer: undefined,
    isChat: endpoint.name === "chat",
    grammar: grammarOf(upstream),
    estimate: undefined,
    stored: undefined,
    dropped: NOTHING,
  };
}

function grammarOf({ kind }: Upstream): TapGrammar {
  return kind === "anthropic" ? MESSAGES_GRAMMAR : CHAT_GRAMMAR;
}

/** OpenAI's dialect counts no tokens before an answer: nothing is sent. */
function planEstimate(ask: Ask, upstream: Upstream): Attempt {
  return {
    upstream,
    path: "",
    headers: "",
    body: "",
    answer: undefined,
    isChat: false,
    grammar: CHAT_GRAMMAR,
    estimate: estimateTokens(readBody(ask.body)),
    stored: undefined,
    dropped: NOTHING,
  };
}

/** The client's own key is never among them: each upstream has the one that the configuration names. */
function formatHeaders(ask: Ask, upstream: Upstream): string {
  const trace = ask.trace.formatLines();
  const base = `Content-Type: application/json\r\nX-Request-Id: ${ask.requestId}\r\n${trace}`;
  if (upstream.kind === "neuron") {
    const prefixes = ask.prompt.formatHeader();
    const own = base + ask.priority;
    return prefixes === "" ? own : `${own}${PREFIX_HEADER}: ${prefixes}\r\n`;
  }
  if (upstream.kind === "openai") return base + upstream.headerLines;
  const own = ask.forwarded === "" ? `Anthropic-Version: ${ANTHROPIC_VERSION}\r\n` : ask.forwarded;
  return base + upstream.headerLines + own;
}
