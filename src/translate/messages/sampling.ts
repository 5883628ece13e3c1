import type { ChatRequest, JsonObject } from "../chat/types.ts";
import {
  invalid,
  optionalBoolean,
  optionalNumber,
  requireArray,
  requireString,
} from "../request-fields.ts";
import type { Conversion, ToChatConversion } from "./conversion.ts";
import type { ModelAbilities } from "./model-abilities.ts";
import { MESSAGES_RANGES, STOPS_MAX } from "./request-schema.ts";

/** What upstreams take; the rest is let go and told. */
const NEURON_STOPS_MAX = 16;
const OPENAI_STOPS_MAX = 4;

const RANGES = MESSAGES_RANGES;
/** Chat requests say by -1 that all tokens may be taken. */
const CHAT_TOP_K = { ...RANGES.top_k, minimum: -1 } as const;

/** Limits, stop strings and sampling of a messages request in the pivot. */
export function readSampling(
  body: JsonObject,
  { to, dropped }: ToChatConversion,
): Pick<
  ChatRequest,
  "max_tokens" | "max_completion_tokens" | "temperature" | "top_p" | "top_k" | "stop"
> {
  const maxTokens = optionalNumber(body["max_tokens"], "max_tokens", RANGES.max_tokens);
  const temperature = optionalNumber(body["temperature"], "temperature", RANGES.temperature);
  const topP = optionalNumber(body["top_p"], "top_p", RANGES.top_p);
  const topK = optionalNumber(body["top_k"], "top_k", RANGES.top_k);
  const stops = readStops(body["stop_sequences"], "stop_sequences");
  const stop = stops.slice(0, to === "neuron" ? NEURON_STOPS_MAX : OPENAI_STOPS_MAX);
  if (stop.length < stops.length) dropped.add("stop_sequences");
  if (topK !== undefined && to === "openai") dropped.add("top_k");
  // OpenAI's reasoning models refuse the older name, and all of its models take the newer one.
  const limit = to === "neuron" ? "max_tokens" : "max_completion_tokens";
  return {
    ...(maxTokens === undefined ? {} : { [limit]: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(topK === undefined || to === "openai" ? {} : { top_k: topK }),
    ...(stop.length === 0 ? {} : { stop }),
  };
}

/** Stop strings with something in them: Anthropic refuses blank ones, and an empty one would match at once. */
function readStops(value: unknown, param: string): readonly string[] {
  if (value === undefined || value === null) return [];
  const given = typeof value === "string" ? [value] : requireArray(value, param, STOPS_MAX);
  return given
    .map((stop, index) => requireString(stop, `${param}.${index}`))
    .filter((stop) => stop.trim() !== "");
}

/** The other way round; what the model does not take is let go. */
export function toSampling(
  body: JsonObject,
  {
    abilities,
    conversion,
  }: { readonly abilities: ModelAbilities; readonly conversion: Conversion },
): { readonly max_tokens: number } & JsonObject {
  const { dropped } = conversion;
  const tokens = RANGES.max_tokens;
  const newer = optionalNumber(body["max_completion_tokens"], "max_completion_tokens", tokens);
  const older = optionalNumber(body["max_tokens"], "max_tokens", tokens);
  const temperature = optionalNumber(body["temperature"], "temperature", RANGES.temperature);
  const topP = optionalNumber(body["top_p"], "top_p", RANGES.top_p);
  const topK = optionalNumber(body["top_k"], "top_k", CHAT_TOP_K);
  const stop = readStops(body["stop"], "stop");
  refuseSeveral(body);
  const sampling: Record<string, number> = {};
  if (abilities.takesSampling) {
    if (temperature !== undefined) sampling["temperature"] = Math.min(temperature, 1);
    if (topP !== undefined) {
      if (temperature !== undefined && abilities.takesOneOfSampling) dropped.add("top_p");
      else sampling["top_p"] = topP;
    }
    if (topK !== undefined && topK > 0) sampling["top_k"] = topK;
  } else {
    for (const name of ["temperature", "top_p", "top_k"]) {
      if (body[name] !== undefined && body[name] !== null) dropped.add(name);
    }
  }
  return {
    max_tokens: newer ?? older ?? abilities.maxTokensDefault,
    ...sampling,
    ...(stop.length === 0 ? {} : { stop_sequences: stop }),
  };
}

/** What the client would miss in the answer is refused, never let go. */
function refuseSeveral(body: JsonObject): void {
  const n = optionalNumber(body["n"], "n", { minimum: 1, maximum: 128, isInteger: true }) ?? 1;
  if (n > 1) throw invalid("n", `'n' is ${n}, this model gives 1 answer to a request`);
  if (optionalBoolean(body["logprobs"], "logprobs") === true) {
    throw invalid("logprobs", "'logprobs' is true, this model does not tell them");
  }
  const modalities = body["modalities"];
  if (Array.isArray(modalities) && modalities.includes("audio")) {
    throw invalid("modalities", "'modalities' holds 'audio', this model answers in text alone");
  }
  for (const name of ["functions", "function_call"]) {
    if (body[name] !== undefined && body[name] !== null) {
      throw invalid(name, `'${name}' is not available for this model: use 'tools'`);
    }
  }
}
