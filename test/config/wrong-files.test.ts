import { expect, test } from "bun:test";
import { join } from "node:path";
import { CortexError } from "../../src/base/errors.ts";
import { loadGatewayConfig } from "../../src/config/load-gateway-config.ts";
import { loadModelProfiles } from "../../src/config/load-model-profiles.ts";
import { loadNeuronConfig } from "../../src/config/load-neuron-config.ts";
import { withFiles } from "./config-text.ts";

/** NAME.toml is wrong, NAME.txt what is said of it; the first word of the name is the kind of file. */
const FOLDER = join(import.meta.dir, "wrong-files");
const env = { BOX_TOKEN: "secret" };
const LOADERS: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  gateway: (file) => loadGatewayConfig({ file, env }),
  models: (file) => loadModelProfiles({ file, neuronNames: ["workstation", "box"] }),
  neuron: (file) => loadNeuronConfig({ file, env }),
};
const NAMES = [...new Bun.Glob("*.toml").scanSync(FOLDER)].map((file) => file.slice(0, -5)).sort();

/** The whole message, without the folder's name. */
async function messageOf(load: Promise<unknown>, folder: string): Promise<string> {
  const thrown = await load.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof CortexError)) throw new Error(`Expected an error, got ${String(thrown)}`);
  expect(thrown.code).toBe("invalid_config");
  const cause = thrown.cause instanceof Error ? `: ${thrown.cause.message}` : "";
  return `${thrown.message}${cause}`.replaceAll(`${folder}/`, "");
}

test("there is a wrong file for each kind of mistake", () => {
  expect(NAMES.length).toBeGreaterThanOrEqual(30);
});

test.each(NAMES)("%s is refused with the line, a caret and what to write", async (name) => {
  const load = LOADERS[name.split("-")[0] ?? ""];
  if (load === undefined) throw new Error(`No kind of file begins ${name}`);
  const message = await messageOf(load(join(FOLDER, `${name}.toml`)), FOLDER);
  expect(`${message}\n`).toBe(await Bun.file(join(FOLDER, `${name}.txt`)).text());
});

const TEXT = '[gateway]\nlisen = "0.0.0.0:1"\n';
const MESSAGE = `cortex.toml has 1 error
cortex.toml:2:1: gateway.lisen is not a key of cortex; did you mean listen?
    2 | lisen = "0.0.0.0:1"
      | ^^^^^`;

test.each([
  ["a byte order mark", `\u{FEFF}${TEXT}`],
  ["CRLF line ends", TEXT.replaceAll("\n", "\r\n")],
])("a file with %s is read, and its lines are counted", async (_, text) => {
  await withFiles({ "cortex.toml": text }, async (folder) => {
    const load = loadGatewayConfig({ file: join(folder, "cortex.toml"), env });
    expect(await messageOf(load, folder)).toBe(MESSAGE);
  });
});

test("text of another encoding is named", async () => {
  await withFiles({}, async (folder) => {
    const file = join(folder, "cortex.toml");
    await Bun.write(file, new Uint8Array([0xff, 0xfe, 0x5b, 0x00]));
    expect(await messageOf(loadGatewayConfig({ file, env }), folder)).toBe(
      "Cannot read cortex.toml: it is UTF-16 text; save it as UTF-8",
    );
    await Bun.write(file, new Uint8Array([0x23, 0xe4, 0x0a]));
    expect(await messageOf(loadGatewayConfig({ file, env }), folder)).toBe(
      "Cannot read cortex.toml: it is not UTF-8 text; save it as UTF-8",
    );
  });
});

test("a file that is none, a folder and one that is too large are named", async () => {
  await withFiles({ "big.toml": "#".repeat(5 * 1024 * 1024) }, async (folder) => {
    const messages = ["none.toml", "", "big.toml"].map((name) =>
      messageOf(loadGatewayConfig({ file: join(folder, name), env }), folder),
    );
    const [none, directory, big] = await Promise.all(messages);
    expect(none).toMatch(/^Cannot read none\.toml: ENOENT/);
    expect(directory).toContain("EISDIR");
    expect(big).toBe("Cannot read big.toml: it has 5242880 bytes, the limit is 4194304");
  });
});
