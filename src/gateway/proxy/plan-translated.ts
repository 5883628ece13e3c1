import { CortexError } from "../../base/errors.ts";
import type { Translation, UpstreamKind } from "../../translate/dialects.ts";
import type { Ask } from "./ask.ts";
import type { ThinkingCache } from "./thinking-cache.ts";

/** The request in the upstream's dialect. Throws `invalid_request` for what cannot be said there. */
export function planTranslated(
  ask: Ask,
  _target: {
    readonly kind: UpstreamKind;
    readonly id: string;
    readonly thinking: ThinkingCache;
  },
): Translation {
  throw new CortexError("unsupported", `${ask.endpoint.route} is not served`);
}
