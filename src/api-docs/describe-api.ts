import type { ApiDescription, ApiEvent, ApiExample, ApiRoute } from "./api-route.ts";
import { describeErrors } from "./describe-errors.ts";
import { SchemaNames } from "./name-schemas.ts";

/** An OpenAPI 3.1 document of an API; JSON, nothing else in it. */
export function describeApi(api: ApiDescription): object {
  const envelopes = Object.entries(api.envelopes).map(
    ([name, { schema }]) => [`${name}Error`, schema] as const,
  );
  const names = new SchemaNames({ ...api.schemas, ...Object.fromEntries(envelopes) });
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of api.routes) {
    const operations = paths[route.path] ?? {};
    operations[route.method.toLowerCase()] = describeRoute(route, { api, names });
    paths[route.path] = operations;
  }
  const { title, version, description } = api;
  const document = {
    openapi: "3.1.0",
    info: {
      title,
      version,
      description,
      license: { name: "GPL-3.0-only" },
    },
    servers: [{ url: "/" }],
    tags: Object.entries(api.tags).map(([name, about]) => ({ name, description: about })),
    paths,
    components: {
      schemas: names.components,
      ...(api.takesToken ? { securitySchemes: { token: { type: "http", scheme: "bearer" } } } : {}),
    },
  };
  // TypeBox keeps what only it needs under symbols, which JSON has not.
  return JSON.parse(JSON.stringify(document)) as object;
}

interface Surroundings {
  readonly api: ApiDescription;
  readonly names: SchemaNames;
}

function describeRoute(route: ApiRoute, { api, names }: Surroundings): object {
  const { tag, summary, description, examples = [] } = route;
  return {
    operationId: operationIdOf(route),
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(route.server === undefined ? {} : { servers: [{ url: route.server }] }),
    parameters: describeParameters(route, names),
    ...(route.body === undefined ? {} : { requestBody: describeBody(route, names) }),
    responses: describeAnswers(route, { api, names }),
    ...(api.takesToken ? { security: route.isOpen === true ? [] : [{ token: [] }, {}] } : {}),
    ...(examples.length === 0 ? {} : { "x-cortex-examples": examples }),
  };
}

/** `POST /v1/responses/{id}/cancel` is postV1ResponsesIdCancel. */
function operationIdOf({ method, path }: ApiRoute): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const capitals = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return method.toLowerCase() + (capitals.length === 0 ? "Root" : capitals.join(""));
}

function describeParameters({ path, parameters = [], examples }: ApiRoute, names: SchemaNames) {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
    ...exampleOf(examples?.find((example) => example.path?.[name] !== undefined)?.path?.[name]),
  }));
  const others = parameters.map((parameter) => ({
    name: parameter.name,
    in: parameter.in,
    required: false,
    description: parameter.description,
    schema: names.refer(parameter.schema),
  }));
  return [...inPath, ...others];
}

function exampleOf(value: string | undefined): object {
  return value === undefined ? {} : { example: value };
}

function describeBody({ body, examples = [] }: ApiRoute, names: SchemaNames): object {
  const own = examples.filter((example) => example.body !== undefined);
  return {
    required: true,
    content: {
      "application/json": {
        schema: names.refer(body),
        ...(own.length === 0 ? {} : { examples: Object.fromEntries(own.map(describeExample)) }),
      },
    },
  };
}

function describeExample({ name, summary, body, error }: ApiExample): [string, object] {
  const outcome = error === undefined ? "" : `; refused with \`${error}\``;
  return [name, { summary: `${summary}${outcome}`, value: body }];
}

function describeAnswers(route: ApiRoute, { api, names }: Surroundings): Record<string, object> {
  const { envelope: name, errors = [], others = [], status = 200 } = route;
  const envelope = api.envelopes[name];
  if (envelope === undefined) throw new Error(`No envelope '${name}'`);
  const refused = describeErrors(errors, { envelope, name: `${name}Error` });
  const ordinary = { description: "Success", content: describeContent(route, names) };
  const further = others.map(({ status: other, description, schema }) => [
    String(other),
    {
      description,
      ...(schema === undefined
        ? {}
        : { content: { "application/json": { schema: names.refer(schema) } } }),
    },
  ]);
  return { ...refused, [String(status)]: ordinary, ...Object.fromEntries(further) };
}

function describeContent(route: ApiRoute, names: SchemaNames): Record<string, object> {
  const { answer, contentType, events = [] } = route;
  const whole =
    answer !== undefined
      ? { [contentType ?? "application/json"]: { schema: names.refer(answer) } }
      : contentType !== undefined
        ? { [contentType]: { schema: { type: "string" } } }
        : {};
  return events.length === 0
    ? whole
    : { ...whole, "text/event-stream": describeStream(events, names) };
}

/** OpenAPI 3.1 has no words for a stream: its schema is that of the data of each event. */
function describeStream(events: readonly ApiEvent[], names: SchemaNames): object {
  return {
    schema: { anyOf: events.map(({ schema }) => names.refer(schema)) },
    examples: Object.fromEntries(
      events.map(({ name, description, example }) => [
        name,
        { summary: description, value: example },
      ]),
    ),
    "x-cortex-events": events.map(({ name, event, description, schema }) => ({
      name,
      ...(event === undefined ? {} : { event }),
      description,
      schema: names.refer(schema),
    })),
  };
}
