import { type TObject, type TProperties, type TSchema, Type as t } from "@sinclair/typebox";

/** Of a model's name in a request. */
export const MODEL_CHARACTERS_MAX = 256;

/** The model that a request is for. */
export const ModelNameSchema = t.String({
  minLength: 1,
  maxLength: MODEL_CHARACTERS_MAX,
  description: "An id or alias from /v1/models",
});

/**
 * A request of these fields, of which `required` must be there; null means left out, as in OpenAI's own clients.
 * Fields beyond them are let go.
 */
export function requestSchema(fields: TProperties, required: readonly string[]): TObject {
  const properties = Object.entries(fields).map(([name, schema]) => [
    name,
    required.includes(name) ? schema : t.Optional(orNull(schema)),
  ]);
  return t.Object({ model: ModelNameSchema, ...Object.fromEntries(properties) });
}

/** The schema or null. */
export function orNull(schema: TSchema): TSchema {
  return t.Union([schema, t.Null()]);
}

/** One of a few words. */
export function words(...allowed: readonly string[]): TSchema {
  return t.Unsafe({ type: "string", enum: [...allowed] });
}
