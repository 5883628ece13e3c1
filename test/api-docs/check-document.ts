import { expect } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { listOperations, type OpenApi, SchemaChecker } from "./open-api.ts";

/** Expects a document to be OpenAPI 3.1, its schemas to be schemas, and its examples to be as it says. */
export async function checkDocument(document: OpenApi): Promise<void> {
  const { valid, errors } = await new Validator().validate(structuredClone(document) as never);
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined } as never);
  expect(document.openapi).toBe("3.1.0");
  const operations = listOperations(document);
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(findProblems(document)).toEqual([]);
}

function findProblems(document: OpenApi): string[] {
  const checker = new SchemaChecker(document, { strict: true });
  const lenient = new SchemaChecker(document, { strict: false });
  const problems: string[] = [];
  const check = (where: string, problem: string | undefined) => {
    if (problem !== undefined) problems.push(`${where}: ${problem}`);
  };
  for (const { key, operation } of listOperations(document)) {
    const examples = operation["x-cortex-examples"] ?? [];
    if (examples.length === 0) problems.push(`${key} has no example`);
    const body = operation.requestBody?.content["application/json"];
    for (const { name, body: value, error } of examples) {
      if (value === undefined || body === undefined || error === "invalid_request") continue;
      check(`${key} ${name}`, lenient.findProblem(body.schema, value));
    }
    for (const [status, { content = {} }] of Object.entries(operation.responses)) {
      for (const { schema, examples: values = {}, ...rest } of Object.values(content)) {
        const events = rest["x-cortex-events"];
        for (const [name, { value }] of Object.entries(values)) {
          const own = events?.find((event) => event.name === name)?.schema ?? schema;
          check(`${key} ${status} ${name}`, checker.findProblem(own, value));
        }
        for (const event of events ?? []) {
          if (values[event.name] === undefined) problems.push(`${key} ${event.name}: no example`);
        }
      }
    }
  }
  return problems;
}
