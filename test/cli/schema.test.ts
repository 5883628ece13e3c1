import { expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { COMMANDS } from "../../src/cli/commands.ts";
import { COMMAND_OUTPUT_NAMES, publishCommandSchema } from "../../src/protocol/command-schemas.ts";
import { FakeAdminServer, sampleStatus } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

test("every command with --json has a published schema, and no other one", () => {
  const withJson = COMMANDS.filter(({ args }) => "json" in args).map(({ name }) => name);
  expect(new Set<string>(COMMAND_OUTPUT_NAMES)).toEqual(new Set(withJson));
});

test("every command with --json is run with it by a test", async () => {
  const texts: string[] = [];
  for await (const path of new Bun.Glob("**/*.test.ts").scan({ cwd: import.meta.dir })) {
    const text = await Bun.file(`${import.meta.dir}/${path}`).text();
    if (text.includes('"--json"')) texts.push(text);
  }
  const all = texts.join("\n");
  const missing = COMMAND_OUTPUT_NAMES.filter((name) => {
    const words = name.split(" ").map((word) => `"${word}"`);
    return !all.includes(words.join(", "));
  });
  expect(missing).toEqual([]);
});

test.each(COMMAND_OUTPUT_NAMES)("schema %s prints a valid JSON Schema", async (name) => {
  const { code, stdout } = await runMain(["schema", ...name.split(" ")]);
  expect(code).toBe(0);
  const schema = JSON.parse(stdout) as object;
  expect(schema).toEqual(JSON.parse(JSON.stringify(publishCommandSchema(name))));
  const ajv = new Ajv2020({ strict: false });
  expect(ajv.validateSchema(schema)).toBe(true);
  const validate = ajv.compile(schema);
  expect(validate({})).toBe(false);
  expect(validate({ schema_version: 1, command: "another" })).toBe(false);
});

test("schema prints all of them by name, and knows the nearest one", async () => {
  const all = JSON.parse((await runMain(["schema"])).stdout) as object;
  expect(Object.keys(all)).toEqual(COMMAND_OUTPUT_NAMES);
  const { code, stderr } = await runMain(["schema", "statsu"]);
  expect(code).toBe(2);
  expect(stderr).toContain("cortex schema status");
});

test("a schema refuses a line without a field that readers rely on", () => {
  const validate = new Ajv2020({ strict: false }).compile(publishCommandSchema("status"));
  const line = { schema_version: 1, command: "status", ...sampleStatus() };
  expect(validate(line)).toBe(true);
  expect(validate({ ...line, later_field: 1 })).toBe(true);
  expect(validate({ ...line, neurons: undefined })).toBe(false);
  expect(validate({ ...line, schema_version: 2 })).toBe(false);
});

test("with --json an error is text on standard error, and standard output is empty", async () => {
  const gateway = new FakeAdminServer();
  try {
    gateway.fail("/admin/status", { status: 503, code: "unavailable", message: "Away: for now" });
    const ended = await runMain(["status", "--json", "--host", gateway.url]);
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toStartWith("cortex: Away\n");
    const nobody = await runMain(["status", "--json", "--host", "127.0.0.1:9"]);
    expect(nobody).toMatchObject({ code: 5, stdout: "" });
  } finally {
    await gateway.stop();
  }
});
