import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

/** What these tests read of an OpenAPI document. */
export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

export interface Operation {
  readonly operationId: string;
  readonly servers?: readonly { readonly url: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, Content> }>>;
  readonly "x-cortex-examples"?: readonly Example[];
}

export interface Content {
  readonly schema: object;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
  readonly "x-cortex-events"?: readonly StreamEvent[];
}

export interface StreamEvent {
  readonly name: string;
  readonly event?: string;
  readonly schema: object;
}

export interface Example {
  readonly name: string;
  readonly body?: unknown;
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly error?: string;
}

export interface NamedOperation {
  /** Method and path. */
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

/** Every operation of a document, in its order. */
export function listOperations({ paths }: OpenApi): readonly NamedOperation[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([name, operation]) => {
      const method = name.toUpperCase();
      return { key: `${method} ${path}`, method, path, operation };
    }),
  );
}

const LOCAL = "#/components/";
const DOCUMENT = "document.json";

/**
 * Checks values against a document's schemas. A strict one refuses every field that the schemas do not name, so that
 * an answer cannot say more than is documented.
 */
export class SchemaChecker {
  readonly #ajv = new Ajv2020({ strict: false });
  readonly #isStrict: boolean;
  readonly #validators = new Map<object, ValidateFunction>();

  constructor({ components }: OpenApi, { strict }: { readonly strict: boolean }) {
    this.#isStrict = strict;
    this.#ajv.addSchema({ $id: DOCUMENT, components: this.#prepare(components) as object });
  }

  /** What is wrong with a value, in one line; undefined where nothing is. */
  findProblem(schema: object, value: unknown): string | undefined {
    const isValid = this.#validatorOf(schema);
    if (isValid(value)) return undefined;
    const errors = isValid.errors ?? [];
    return errors
      .map(
        ({ instancePath, message, params }) =>
          `${instancePath} ${message} ${JSON.stringify(params)}`,
      )
      .join("; ");
  }

  #validatorOf(schema: object): ValidateFunction {
    const known = this.#validators.get(schema);
    if (known !== undefined) return known;
    const validator = this.#ajv.compile(this.#prepare(schema) as object);
    this.#validators.set(schema, validator);
    return validator;
  }

  #prepare(node: unknown): unknown {
    if (typeof node !== "object" || node === null) return node;
    if (Array.isArray(node)) return node.map((item) => this.#prepare(item));
    const entries = Object.entries(node).map(([key, value]) => {
      const isReference = key === "$ref" && typeof value === "string" && value.startsWith(LOCAL);
      return [key, isReference ? `${DOCUMENT}${value}` : this.#prepare(value)];
    });
    const prepared = Object.fromEntries(entries);
    const { type, properties } = node as { readonly type?: unknown; readonly properties?: object };
    const isClosed =
      type === "object" && Object.keys(properties ?? {}).length > 0 && this.#isStrict;
    return isClosed && !("additionalProperties" in node)
      ? { ...prepared, additionalProperties: false }
      : prepared;
  }
}
