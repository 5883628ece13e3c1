import { expect } from "bun:test";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { COMMAND_OUTPUT_NAMES, publishCommandSchema } from "../../src/protocol/command-schemas.ts";

const ajv = new Ajv2020({ allErrors: true, strict: false });
const validators = new Map<string, ValidateFunction>(
  COMMAND_OUTPUT_NAMES.map((name) => [name, ajv.compile(publishCommandSchema(name))]),
);

/** Every line must be JSON of the command that it names, as its published schema says. */
export function expectPublished(stdout: string): void {
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    const answer = JSON.parse(line) as { readonly command: string };
    const validate = validators.get(answer.command);
    if (validate === undefined) throw new Error(`No schema is published for ${answer.command}`);
    validate(answer);
    const wrong = (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
    expect({ command: answer.command, wrong }).toEqual({ command: answer.command, wrong: [] });
  }
}
