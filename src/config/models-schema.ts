import { type Static, Type as t } from "@sinclair/typebox";
import { loadOptions } from "../base/load-options.ts";

const modelName = t.String({ minLength: 1, maxLength: 256 });

/** models.toml: placement profiles, one table per model. */
export const ModelProfilesSchema = t.Object(
  {
    models: t.Array(
      t.Object(
        {
          id: t.String({
            description: "The model's id in the catalogue",
            minLength: 1,
            maxLength: 256,
          }),
          source: t.Optional(
            t.String({
              description: "The neurons' id of the model, when it differs from id",
              minLength: 1,
              maxLength: 256,
            }),
          ),
          aliases: t.Array(modelName, {
            description: "Further names that clients may use",
            default: [],
            maxItems: 64,
          }),
          context: t.Optional(
            t.Integer({ description: "Tokens per slot", minimum: 16, maximum: 16_777_216 }),
          ),
          slots: t.Optional(
            t.Integer({ description: "Requests served at once", minimum: 1, maximum: 256 }),
          ),
          priority: t.Integer({
            description: "Higher stays longer under the strategy priority",
            default: 0,
            minimum: -1000,
            maximum: 1000,
          }),
          pinned: t.Boolean({ description: "Kept loaded and never evicted", default: false }),
          neurons: t.Optional(
            t.Array(t.String(), {
              description: "Names of the neurons that may hold it",
              minItems: 1,
              maxItems: 1000,
            }),
          ),
          replicas_min: t.Integer({
            description: "Neurons that keep it loaded, wanted or not",
            default: 0,
            minimum: 0,
            maximum: 1000,
          }),
          replicas_max: t.Optional(
            t.Integer({
              description: "Neurons that hold it at most",
              minimum: 1,
              maximum: 1000,
            }),
          ),
          idle_seconds: t.Optional(
            t.Integer({
              description: "Unloaded when nobody has used it for so long",
              minimum: 1,
              maximum: 31_536_000,
            }),
          ),
          keep_kv: t.Boolean({
            description: "What its cache holds is kept for its next load",
            default: false,
          }),
          resume: t.Boolean({
            description: "Plain text that breaks off goes on from another neuron",
            default: false,
          }),
          device_set: t.Optional(
            t.String({
              description: "A set of devices of its neurons, by name",
              minLength: 1,
              maxLength: 64,
            }),
          ),
          ...loadOptions,
        },
        { additionalProperties: false },
      ),
      { default: [], maxItems: 10_000 },
    ),
  },
  { additionalProperties: false },
);
/** A checked models.toml with every default filled in. */
export type ModelProfiles = Static<typeof ModelProfilesSchema>;
export type ModelProfile = ModelProfiles["models"][number];
