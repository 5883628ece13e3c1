import { expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { loadGatewayConfig } from "../../src/config/load-gateway-config.ts";
import { loadNeuronConfig } from "../../src/config/load-neuron-config.ts";
import { listSecretWarnings, locateSecretFile, readSecret } from "../../src/config/secret.ts";
import { errorLines, withFiles } from "./config-text.ts";

const NEURON = (tokenFile: string) => `[neuron]\ntoken_file = ${JSON.stringify(tokenFile)}\n`;

test("a token is its file's text without the newline at the end", async () => {
  await withFiles({ unix: "secret\n", dos: "secret\r\n", bare: "secret" }, async (folder) => {
    for (const name of ["unix", "dos", "bare"]) {
      const file = join(folder, name);
      expect(readSecret({ variable: undefined, file }, {})?.value).toBe("secret");
    }
  });
});

test("a variable's token is cut at both ends, and a missing one is none", () => {
  const env = { T: " secret\n", E: "" };
  expect(readSecret({ variable: "T", file: undefined }, env)?.value).toBe("secret");
  expect(readSecret({ variable: "E", file: undefined }, env)).toBeUndefined();
  expect(readSecret({ variable: undefined, file: undefined }, env)).toBeUndefined();
});

test("a file that everybody may read is warned of, one of a group is not", async () => {
  await withFiles({ token: "secret" }, async (folder) => {
    const file = join(folder, "token");
    await chmod(file, 0o640);
    expect(listSecretWarnings({ neuron: { token_file: file } })).toEqual([]);
    await chmod(file, 0o644);
    expect(listSecretWarnings({ neurons: [{ api_key_file: file }] })).toEqual([
      `${file} has mode 644, so that every user reads it: chmod o= ${file}`,
    ]);
  });
});

test("a relative path is a credential where systemd has some, else beside the configuration", () => {
  const configFile = "/etc/cortex/neuron.toml";
  const env = { CREDENTIALS_DIRECTORY: "/run/credentials/neuron" };
  const locate = (file: string, credentials = {}) =>
    locateSecretFile(file, { env: credentials, configFile });
  expect(locate("token")).toBe("/etc/cortex/token");
  expect(locate("token", env)).toBe("/run/credentials/neuron/token");
  expect(locate("credential:token", env)).toBe("/run/credentials/neuron/token");
  expect(locate("/srv/token", env)).toBe("/srv/token");
  expect(() => locate("credential:../token", env)).toThrow('"../token" is no credential\'s name');
  expect(() => locate("credential:token")).toThrow("CREDENTIALS_DIRECTORY is not set");
});

test("the paths of tokens and keys come back absolute", async () => {
  const cortex = `[[neurons]]\nname = "a"\nendpoint = "http://a:1"\ntoken_file = "t"\n`;
  const files = { "cortex.toml": cortex, "neuron.toml": NEURON("t"), t: "secret\n" };
  await withFiles(files, async (folder) => {
    const gateway = await loadGatewayConfig({ folder, env: {} });
    expect(gateway.config.neurons[0]?.token_file).toBe(join(folder, "t"));
    expect(Object.isFrozen(gateway.config.neurons[0])).toBe(true);
    const neuron = await loadNeuronConfig({ folder, env: {} });
    expect(neuron.config.neuron.token_file).toBe(join(folder, "t"));
  });
});

test.each([
  ["is empty", "\n", "is empty"],
  ["holds two lines", "a\nb\n", "holds what no header may hold"],
])("a file that %s gives no secret", async (_, text, what) => {
  await withFiles({ "neuron.toml": NEURON("t"), t: text }, async (folder) => {
    const lines = await errorLines(loadNeuronConfig({ folder, env: {} }), folder);
    expect(lines[1]).toBe(`neuron.toml:2:14: neuron.token_file gives no secret: t ${what}`);
  });
});

test("without secrets a configuration loads where no token is", async () => {
  await withFiles({ "neuron.toml": NEURON("credential:t") }, async (folder) => {
    const { config } = await loadNeuronConfig({ folder, env: {}, withSecrets: false });
    expect(config.neuron.token_file).toBe("credential:t");
  });
});
