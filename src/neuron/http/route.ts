import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { ApiFacts, ApiMethod } from "../../api-docs/api-route.ts";
import { CortexError } from "../../base/errors.ts";
import { parseJsonObject, showValue } from "../requests/json-body.ts";
import { readBody } from "./read-body.ts";

/** One route: what serves it and what the documents say. */
export interface Route extends ApiFacts {
  readonly method: ApiMethod;
  /** With parameters as {name}. */
  readonly path: string;
  readonly tag: "neuron" | "models" | "openai";
  readonly handle: (
    request: Request,
    params: Readonly<Record<string, string>>,
  ) => Response | Promise<Response>;
}

/** A control request is small. */
const CONTROL_BODY_BYTES_MAX = 1024 * 1024;

/**
 * Reads and checks a control request; unknown fields are ignored, so that mixed versions work.
 * @throws CortexError that names the field, the value and what it must be
 */
export async function readControlBody<T>(request: Request, schema: TSchema): Promise<T> {
  const body = parseJsonObject(await readBody(request, CONTROL_BODY_BYTES_MAX));
  if (Value.Check(schema, body)) return body as T;
  const error = Value.Errors(schema, body).First();
  const param = error?.path.slice(1).replaceAll("/", ".") ?? "";
  throw new CortexError(
    "invalid_request",
    error?.value === undefined
      ? `'${param}' is missing`
      : `'${param}' is ${showValue(error.value)}: ${error.message.toLowerCase()}`,
    { param },
  );
}
