import { ByteSpan } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import type { AdminPlanRequest } from "../../protocol/status.ts";
import type { KnownPrompt } from "../prefix/known-prompt.ts";
import type { PrefixKnowledge } from "../prefix/prefix-knowledge.ts";
import type { PromptForm } from "../prefix/prompt-reader.ts";
import { readRoutingFields } from "../proxy/routing-fields.ts";

export interface PlanPromptOptions {
  /** The request's body as it came: prompts are compared in their bytes. */
  readonly bytes: ByteSpan | undefined;
  /** The model as the fleet calls it. */
  readonly source: string;
  readonly prefixes: PrefixKnowledge;
  readonly nowMs: number;
}

/** What the router reckons with where nothing is said of the prompt. */
export const PROMPT_TOKENS_DEFAULT = 1_000;

/** Members in which a prompt may come; one of them at a time. */
const PROMPTS = ["messages", "input", "prompt"] as const;
const NO_HEADERS = new ByteSpan(Buffer.alloc(0));

/**
 * What is known of the prompt that an operator asks about: of the very one where it is given, read as a client's would
 * be, else of one of that size. Learns nothing from it. Throws `invalid_request` for a prompt that is told twice.
 */
export function readPlanPrompt(request: AdminPlanRequest, options: PlanPromptOptions): KnownPrompt {
  const { bytes, source, prefixes, nowMs } = options;
  const { session, prompt_tokens: promptTokens = PROMPT_TOKENS_DEFAULT } = request;
  const form = findForm(request);
  if (bytes === undefined) return prefixes.sample({ source, promptTokens, nowMs });
  const fields = readRoutingFields(bytes);
  return prefixes.read({
    ...{ source, form, headerLines: NO_HEADERS, body: bytes, parts: fields.parts, session, nowMs },
    promptTokens: form === undefined ? promptTokens : fields.promptTokens,
  });
}

/** Undefined where no prompt is given. */
function findForm(request: AdminPlanRequest): PromptForm | undefined {
  const given = PROMPTS.filter((name) => request[name] !== undefined);
  const [only] = given;
  if (only === undefined) return undefined;
  const sizes = request.prompt_tokens === undefined ? [] : ["prompt_tokens"];
  const all = [...given, ...sizes];
  if (all.length > 1) {
    throw new CortexError("invalid_request", `Fields ${all.join(" and ")} exclude each other`, {
      param: all[1] ?? only,
    });
  }
  if (only === "prompt") return "completions";
  if (only === "input") return "responses";
  return request.system === undefined ? "chat" : "messages";
}
