import { type Static, Type as t } from "@sinclair/typebox";

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
            t.String({ description: "The neurons' id of the model, when it differs from id" }),
          ),
          aliases: t.Array(t.String({ minLength: 1, maxLength: 256 }), {
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
          pinned: t.Boolean({ description: "Never evicted", default: false }),
          neurons: t.Optional(
            t.Array(t.String(), {
              description: "Names of the neurons that may hold it",
              minItems: 1,
            }),
          ),
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
