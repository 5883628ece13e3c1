import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import {
  type COMMAND_OUTPUTS,
  type CommandName,
  commandOutputSchema,
} from "../../../src/protocol/command-output.ts";
import { withFiles } from "../../config/config-text.ts";
import { runMain } from "../run-main.ts";

/** A line of --json, which must be of its command's published schema. */
function readAnswer<Name extends CommandName>(command: Name, line: string) {
  const answer: unknown = JSON.parse(line);
  expect(answer).toMatchObject({ schema_version: 1, command });
  const wrong = [...Value.Errors(commandOutputSchema(command), answer)];
  expect(wrong.map(({ path, message }) => `${path} ${message}`)).toEqual([]);
  return answer as Static<(typeof COMMAND_OUTPUTS)[Name]>;
}

const GATEWAY = `[limits]
queue_max = 7

[[neurons]]
name = "box"
endpoint = "http://box:13131"
`;

test("init writes an example that check accepts, and never overwrites a file", async () => {
  await withFiles({}, async (folder) => {
    const file = join(folder, "neuron.toml");
    expect(await runMain(["config", "init", file])).toMatchObject({ code: 0, stderr: "" });
    expect(await runMain(["config", "check", file])).toEqual({
      ...{ code: 0, stdout: `${file}: no errors\n`, stderr: "" },
    });
    await Bun.write(file, "# mine\n");
    const again = await runMain(["config", "init", file]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("it exists already");
    expect(await Bun.file(file).text()).toBe("# mine\n");
    const forced = await runMain(["config", "init", file, "--force", "--json"]);
    expect(readAnswer("config init", forced.stdout)).toMatchObject({ kind: "neuron", file });
    expect(await Bun.file(file).text()).toContain("[neuron]");
  });
});

test("init prints the example with -", async () => {
  const { stdout } = await runMain(["config", "init", "--kind", "models", "-"]);
  const example = join(import.meta.dir, "../../../config/models.example.toml");
  expect(stdout).toBe(await Bun.file(example).text());
});

test("check names the errors of cortex.toml and of the models.toml beside it, and ends with 2", async () => {
  const files = {
    "cortex.toml": "[limits]\nqueue_max = 0\n",
    "models.toml": "[[models]]\nid = 3\n",
  };
  await withFiles(files, async (folder) => {
    const file = join(folder, "cortex.toml");
    const { code, stdout, stderr } = await runMain(["config", "check", file]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`${file}:2:13: limits.queue_max is 0`);
    expect(stderr).toContain("2 | queue_max = 0");
    expect(stderr).toContain(`${join(folder, "models.toml")}:2:6: models[0].id is 3`);
    const json = await runMain(["config", "check", file, "--json"]);
    expect(json.code).toBe(2);
    const { files: checked } = readAnswer("config check", json.stdout);
    expect(checked.map(({ kind, errors }) => [kind, errors.length])).toEqual([
      ["gateway", 1],
      ["models", 1],
    ]);
  });
});

test("check knows the neurons of the cortex.toml beside a models.toml", async () => {
  const models = '[[models]]\nid = "m"\nneurons = ["bxo"]\n';
  await withFiles({ "cortex.toml": GATEWAY, "models.toml": models }, async (folder) => {
    const { code, stderr } = await runMain(["config", "check", join(folder, "models.toml")]);
    expect(code).toBe(2);
    expect(stderr).toContain('"bxo", which is no neuron of cortex.toml; did you mean box?');
  });
});

test("check looks for secrets unless told not to", async () => {
  await withFiles({ "neuron.toml": '[neuron]\ntoken_env = "NOT_SET"\n' }, async (folder) => {
    const file = join(folder, "neuron.toml");
    expect((await runMain(["config", "check", file])).code).toBe(2);
    expect((await runMain(["config", "check", file, "--no-secrets"])).code).toBe(0);
  });
});

test("show prints what holds, and where each value comes from", async () => {
  await withFiles({ "cortex.toml": GATEWAY }, async (folder) => {
    const file = join(folder, "cortex.toml");
    const env = { CORTEX_GATEWAY__LOG_LEVEL: "debug" };
    const { code, stdout } = await runMain(["config", "show", file, "--origin"], env);
    expect(code).toBe(0);
    const lines = stdout.split("\n").map((line) => line.replace(/ +#/, " #"));
    expect(lines).toContain('log_level = "debug" # CORTEX_GATEWAY__LOG_LEVEL');
    expect(lines).toContain(`queue_max = 7 # ${file}:2`);
    expect(lines).toContain("keepalive_seconds = 10 # default");
    expect(lines).toContain(`name = "box" # ${file}:5`);
    // It is a configuration again.
    const copy = join(folder, "copy.toml");
    await Bun.write(copy, stdout);
    expect((await runMain(["config", "diff", copy, file, "--kind", "gateway"])).stdout).toContain(
      "gateway.log_level",
    );
    const json = await runMain(["config", "show", file, "--origin", "--json"], env);
    expect(readAnswer("config show", json.stdout).files[0]).toMatchObject({
      kind: "gateway",
      file,
      config: { limits: { queue_max: 7 } },
      origins: { "neurons[0].kind": "default", "neurons[0].name": `${file}:5` },
    });
  });
});

test("diff compares values by the names of tables, not by their places", async () => {
  const [box, other] = ["box", "other"].map(
    (name) => `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}:1"\n`,
  );
  await withFiles(
    { "a-cortex.toml": `${box}${other}`, "b-cortex.toml": `${other}${box?.replace(":1", ":2")}` },
    async (folder) => {
      const files = [join(folder, "a-cortex.toml"), join(folder, "b-cortex.toml")];
      const { stdout } = await runMain(["config", "diff", ...files, "--json"]);
      expect(readAnswer("config diff", stdout).changes).toEqual([
        { key: "neurons[box].endpoint", from: "http://box:1", to: "http://box:2" },
      ]);
      const one = await runMain(["config", "diff", files[0] ?? "", files[0] ?? ""]);
      expect(one.stdout).toBe("No differences\n");
    },
  );
});

test("diff with one file compares it with the defaults", async () => {
  await withFiles({ "cortex.toml": "[limits]\nqueue_max = 7\n" }, async (folder) => {
    const { stdout } = await runMain(["config", "diff", join(folder, "cortex.toml"), "--json"]);
    expect(readAnswer("config diff", stdout).changes).toEqual([
      { key: "limits.queue_max", from: 256, to: 7 },
    ]);
  });
});

test.each(["gateway", "models", "neuron"])("the schema of %s is one for editors", async (kind) => {
  const { code, stdout } = await runMain(["config", "schema", "--kind", kind]);
  expect(code).toBe(0);
  const schema = JSON.parse(stdout);
  expect(schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
  expect(schema.type).toBe("object");
  expect(stdout).not.toContain('"expects"');
  // Everything at the top has a default.
  expect(schema.required).toBeUndefined();
});

test("a command that config has not is refused with the nearest one", async () => {
  const { code, stderr } = await runMain(["config", "chekc"]);
  expect(code).toBe(2);
  expect(stderr).toContain("cortex config check");
  expect((await runMain(["config", "--help"])).stdout).toContain("cortex config show");
});
