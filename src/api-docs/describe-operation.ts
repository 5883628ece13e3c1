/** What there is to say of a route; schemas are JSON schemas, which those of TypeBox are. */
export interface OperationFacts {
  readonly summary: string;
  readonly body?: object | undefined;
  readonly answer?: object | undefined;
  /** In which envelope errors come. */
  readonly errors: string;
}

/** An operation of an OpenAPI 3.0 document. */
export function describeOperation({ summary, body, answer, errors }: OperationFacts) {
  const content = (schema: object) => ({ content: { "application/json": { schema } } });
  return {
    summary,
    ...(body === undefined ? {} : { requestBody: { required: true, ...content(body) } }),
    responses: {
      200: { description: "Success", ...(answer === undefined ? {} : content(answer)) },
      default: { description: errors },
    },
  };
}
