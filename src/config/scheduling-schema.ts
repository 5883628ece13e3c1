import { Type as t } from "@sinclair/typebox";

/** `[scheduling]` of neuron.toml. */
export const SchedulingSchema = t.Object(
  {
    step_ms_max: t.Integer({
      description: "How long a running stream may wait while prompts of others are read",
      default: 200,
      minimum: 20,
      maximum: 10_000,
    }),
    prepare_seconds: t.Integer({
      description: "What a request's template, grammar and tokenizing may take before it is failed",
      default: 20,
      minimum: 1,
      maximum: 600,
    }),
    watchdog_seconds: t.Integer({
      description:
        "A device that does not step for so long while it has work counts as hanging; 0 never",
      expects: "0, or 30 to 86400",
      default: 180,
      minimum: 0,
      maximum: 86_400,
    }),
  },
  { additionalProperties: false, default: {} },
);
