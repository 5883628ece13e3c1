/** What a model behind an Anthropic upstream takes. */
export interface ModelAbilities {
  /** `thinking: {type: "adaptive"}` and an effort; else a budget of tokens. */
  readonly thinksAdaptively: boolean;
  readonly canStopThinking: boolean;
  readonly takesSampling: boolean;
  /** Not `temperature` and `top_p` at once. */
  readonly takesOneOfSampling: boolean;
  readonly takesSchemas: boolean;
  readonly takesForcedTools: boolean;
  /** What to ask for where a client names no limit, which the dialect demands. */
  readonly maxTokensDefault: number;
}

/** Of names that are not Claude's: other makers' copies of the API follow its first form. */
const OTHER: ModelAbilities = {
  thinksAdaptively: false,
  canStopThinking: true,
  takesSampling: true,
  takesOneOfSampling: false,
  takesSchemas: false,
  takesForcedTools: true,
  maxTokensDefault: 8_192,
};

const VERSION = /claude-(?:([a-z]+)-)?(\d)(?:[-.](\d{1,2})(?!\d))?/;

/**
 * Reads generations as numbers: 4.6 is 406. Follows the table in Vercel's @ai-sdk/anthropic 4.0.105; a newer model is
 * taken to be like the newest.
 */
export function abilitiesOf(model: string): ModelAbilities {
  const found = VERSION.exec(model);
  if (found === null)
    return model.includes("claude-") ? { ...OTHER, maxTokensDefault: 4_096 } : OTHER;
  const family = found[1] ?? "";
  const version = Number(found[2]) * 100 + Number(found[3] ?? 0);
  const alwaysThinks = family === "fable" || (version >= 505 && family !== "haiku");
  const refusesForced = version >= 505 ? family !== "haiku" : family === "fable" && version > 500;
  return {
    thinksAdaptively: version >= 406,
    canStopThinking: !alwaysThinks,
    takesSampling: version < 407,
    takesOneOfSampling: version >= 401,
    takesSchemas: version >= 401,
    takesForcedTools: !refusesForced,
    maxTokensDefault: version < 305 ? 4_096 : version < 307 ? 8_192 : 32_000,
  };
}
