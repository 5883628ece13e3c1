import { chmod, mkdir, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { COMMAND_OUTPUT_NAMES, publishCommandSchema } from "../../src/protocol/command-schemas.ts";
import { run } from "../native-progress.ts";
import { formatManPages } from "./man-pages.ts";
import { formatSbom, listEngineParts, listProgramParts } from "./sbom.ts";
import type { VersionStamp } from "./version-stamp.ts";

/** One file of a package. */
export interface PayloadFile {
  /** Where it is installed. */
  readonly path: string;
  readonly mode: number;
  readonly kind: "plain" | "config" | "doc" | "license";
  /** Text, or a file to copy. */
  readonly content: string | { readonly file: string };
}

/** What both payloads are made from. */
export interface PayloadSource {
  /** The checkout. */
  readonly root: string;
  readonly stamp: VersionStamp;
}

/** Where the neuron looks for its library, besides beside the executable. */
export const LIBRARY_FOLDER = "/usr/lib64/helexa-neuron";
const UNITS = "/usr/lib/systemd/system";
const BASH = "/usr/share/bash-completion/completions/cortex";
const ZSH = "/usr/share/zsh/site-functions/_cortex";
const FISH = "/usr/share/fish/vendor_completions.d/cortex.fish";
/** What other programs are given to read. */
const SHARED = "/usr/share/cortex";
const MODE_FILE = 0o644;
const MODE_PROGRAM = 0o755;

/** Files of the package cortex: the executable, the gateway's unit and configuration, and what a shell's user wants. */
export async function listGatewayFiles(
  { root, stamp }: PayloadSource,
  executable: string,
): Promise<PayloadFile[]> {
  const completion = async (shell: string) => plain(await run([executable, "completion", shell]));
  const facts = { version: stamp.version, date: dateOf(stamp) };
  const pages = [...formatManPages(COMMANDS, facts)].map(([name, text]) =>
    at(`/usr/share/man/man1/${name}`, plain(text)),
  );
  const sbom = formatSbom("cortex", { stamp, parts: await listProgramParts(root) });
  const config = (name: string) => Bun.file(join(root, "config", name)).text();
  return [
    { ...at("/usr/bin/cortex", copied(executable)), mode: MODE_PROGRAM },
    at(`${UNITS}/cortex.service`, copied(join(root, "config/systemd/cortex.service"))),
    at(
      "/usr/lib/sysusers.d/cortex.conf",
      copied(join(root, "config/packages/cortex.sysusers.conf")),
    ),
    at("/etc/cortex/cortex.toml", {
      ...plain(await config("cortex.example.toml")),
      kind: "config",
    }),
    at("/etc/cortex/models.toml", {
      ...plain(commentOut(await config("models.example.toml"))),
      kind: "config",
    }),
    ...["grafana-dashboard.json", "alerts.yml"].map((name) =>
      at(`${SHARED}/${name}`, copied(join(root, "config", name))),
    ),
    ...COMMAND_OUTPUT_NAMES.map((name) =>
      at(
        `${SHARED}/schemas/${name.replaceAll(" ", "-")}.schema.json`,
        plain(`${JSON.stringify(publishCommandSchema(name), undefined, 2)}\n`),
      ),
    ),
    at(BASH, await completion("bash")),
    at(ZSH, await completion("zsh")),
    at(FISH, await completion("fish")),
    ...pages,
    ...documents({ root, name: "cortex", sbom }),
  ];
}

/** Files of the package helexa-neuron-FLAVOUR: the native libraries, the units and the configuration. */
export async function listNeuronFiles(
  { root, stamp }: PayloadSource,
  options: { readonly flavour: string; readonly libraries: readonly string[] },
): Promise<PayloadFile[]> {
  const { flavour, libraries } = options;
  const name = `helexa-neuron-${flavour}`;
  const sbom = formatSbom(name, { stamp, parts: await listEngineParts(root) });
  const config = await Bun.file(join(root, "config/neuron.example.toml")).text();
  const file = (path: string) => copied(join(root, "config", path));
  return [
    ...libraries.map((library) => ({
      ...at(join(LIBRARY_FOLDER, library.split("/").at(-1) ?? ""), copied(library)),
      mode: MODE_PROGRAM,
    })),
    at(flavourFile(flavour), plain(`${JSON.stringify({ flavour, ...stamp })}\n`)),
    at(`${UNITS}/neuron.service`, file("systemd/neuron.service")),
    at(`${UNITS}/neuron@.service`, file("systemd/neuron@.service")),
    at("/usr/lib/sysusers.d/helexa-neuron.conf", file("packages/helexa-neuron.sysusers.conf")),
    at("/usr/lib/tmpfiles.d/helexa-neuron.conf", file("packages/helexa-neuron.tmpfiles.conf")),
    at("/etc/cortex/neuron.toml", { ...plain(packagedNeuronConfig(config)), kind: "config" }),
    ...documents({ root, name, sbom }),
  ];
}

/** Says which flavour's libraries lie in the folder, and of which build. */
export function flavourFile(flavour: string): string {
  return `${LIBRARY_FOLDER}/build-${flavour}.json`;
}

/** Lays files out below a folder, with the commit's time. Man pages are compressed. */
export async function layOut(
  files: readonly PayloadFile[],
  { folder, stamp }: { readonly folder: string; readonly stamp: VersionStamp },
): Promise<void> {
  for (const { path, mode, content } of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    if (typeof content === "string") await Bun.write(target, pack(path, content));
    else await Bun.write(target, Bun.file(content.file));
    await chmod(target, mode);
    await utimes(target, stamp.epochSeconds, stamp.epochSeconds);
  }
}

/** Without a name and a time inside, which are gzip's own. */
function pack(path: string, text: string): string | Uint8Array<ArrayBuffer> {
  return path.endsWith(".gz") ? Bun.gzipSync(text, { level: 9 }) : text;
}

/** The folder of models that tmpfiles.d makes: the daemon's user has no home of its own. */
function packagedNeuronConfig(text: string): string {
  const line = /^models_dir = .*$/m;
  if (!line.test(text)) throw new Error("config/neuron.example.toml has no models_dir to set");
  return text
    .replace(line, 'models_dir = "/var/lib/helexa-neuron/models"')
    .replace(/^# neuron\.toml: .*$/m, "# neuron.toml: the inference daemon of this machine.");
}

/** The example's models are not anybody's. */
function commentOut(text: string): string {
  return text.replace(/^(?!#|$)/gm, "# ");
}

function documents(options: {
  readonly root: string;
  readonly name: string;
  readonly sbom: string;
}): PayloadFile[] {
  const { root, name, sbom } = options;
  const folder = `/usr/share/doc/${name}`;
  return [
    at(`${folder}/README.md`, { ...copied(join(root, "README.md")), kind: "doc" }),
    at(`${folder}/sbom.spdx.json`, { ...plain(sbom), kind: "doc" }),
    at(`/usr/share/licenses/${name}/LICENSE`, {
      ...copied(join(root, "LICENSE")),
      kind: "license",
    }),
  ];
}

type Content = Pick<PayloadFile, "content" | "kind">;

function plain(content: string): Content {
  return { content, kind: "plain" };
}

function copied(file: string): Content {
  return { content: { file }, kind: "plain" };
}

function at(path: string, content: Content): PayloadFile {
  const compressed = path.startsWith("/usr/share/man/") ? `${path}.gz` : path;
  return { path: compressed, mode: MODE_FILE, ...content };
}

function dateOf({ epochSeconds }: VersionStamp): string {
  return new Date(epochSeconds * 1000).toISOString().slice(0, 10);
}
