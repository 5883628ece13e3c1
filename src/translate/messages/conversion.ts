import type { DroppedFields } from "../dropped-fields.ts";
import type { SafeNames } from "../safe-names.ts";

/** What the parts of one request share while it is translated. */
export interface Conversion {
  readonly dropped: DroppedFields;
  readonly toolNames: SafeNames;
  readonly toolIds: SafeNames;
}

/** On the way into the pivot it matters whether a neuron reads it, which takes more than OpenAI's API. */
export interface ToChatConversion extends Conversion {
  readonly to: "neuron" | "openai";
}
