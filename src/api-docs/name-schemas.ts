/**
 * Puts references where a schema with a name stands. They are known by their text: TypeBox copies what it makes
 * optional, so that the same schema is not the same object everywhere.
 */
export class SchemaNames {
  readonly #names = new Map<string, string>();
  readonly #schemas: Readonly<Record<string, object>>;

  constructor(schemas: Readonly<Record<string, object>>) {
    this.#schemas = schemas;
    for (const [name, schema] of Object.entries(schemas)) {
      this.#names.set(JSON.stringify(schema), name);
    }
  }

  /** The named schemas themselves, which refer to each other. */
  get components(): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(this.#schemas).map(([name, schema]) => [name, this.#replaceWithin(schema)]),
    );
  }

  /** A schema with references in it, or the reference that it is. */
  refer(schema: unknown): unknown {
    if (typeof schema !== "object" || schema === null) return schema;
    const name = this.#names.get(JSON.stringify(schema));
    if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
    return this.#replaceWithin(schema);
  }

  #replaceWithin(schema: object): unknown {
    if (Array.isArray(schema)) return schema.map((item) => this.refer(item));
    return Object.fromEntries(
      Object.entries(schema).map(([key, value]) => [key, this.refer(value)]),
    );
  }
}
