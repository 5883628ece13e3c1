import { type Static, Type as t } from "@sinclair/typebox";
import { CortexError } from "../base/errors.ts";

/**
 * Prefix residency: a gateway that knows how a prompt begins names its beginnings by hashes, and the neuron tells every
 * gateway which of these beginnings its caches hold. What a hash covers is the gateways' own business: the neuron
 * compares names. Gateways that hash alike understand each other; whoever changes how it hashes begins its hashes with
 * another character.
 */

/** Of a request for inference: hashes of the prompt's beginnings, the shortest first, joined by commas. */
export const PREFIX_HEADER = "x-cortex-prefix";

/** 64 bits in base64url are 11 characters. */
const HASH = /^[A-Za-z0-9_-]{1,16}$/;
/** Of one prompt; together they stay below 1.1 KB of a header. */
export const PREFIX_HASHES_MAX = 64;

const hashes = t.Array(t.String());

/** All beginnings that a model's caches hold, as a snapshot tells them. */
export const PrefixesSchema = t.Object({ model: t.String(), hashes });
export type Prefixes = Static<typeof PrefixesSchema>;

/** What came and went since the last event. `reset` forgets everything before: the model was unloaded or failed. */
export const PrefixChangeSchema = t.Object({
  model: t.String(),
  reset: t.Optional(t.Boolean()),
  added: hashes,
  removed: hashes,
});
export type PrefixChange = Static<typeof PrefixChangeSchema>;

/** The header's value; of more than {@link PREFIX_HASHES_MAX} beginnings the longest are named. */
export function formatPrefixHeader(chain: readonly string[]): string {
  return chain.slice(-PREFIX_HASHES_MAX).join(",");
}

/** The hashes of a header, none where it is missing. @throws CortexError invalid_request */
export function parsePrefixHeader(value: string | null): readonly string[] {
  if (value === null || value === "") return [];
  const chain = value.split(",");
  if (chain.length > PREFIX_HASHES_MAX) {
    throw new CortexError(
      "invalid_request",
      `'${PREFIX_HEADER}' names ${chain.length} beginnings, at most ${PREFIX_HASHES_MAX} may be`,
      { param: PREFIX_HEADER },
    );
  }
  const wrong = chain.find((hash) => !HASH.test(hash));
  if (wrong === undefined) return chain;
  throw new CortexError(
    "invalid_request",
    `'${PREFIX_HEADER}' holds '${wrong.slice(0, 32)}': a hash is 1 to 16 letters, digits, '_' or '-'`,
    { param: PREFIX_HEADER },
  );
}
