import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { VersionStamp } from "./version-stamp.ts";

/** One component of a package. */
export interface Component {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** A package URL, https://github.com/package-url/purl-spec. */
  readonly purl: string;
  /** sha512 of the archive that the lock file pins, in hexadecimal; absent where there is no archive. */
  readonly sha512?: string;
  readonly comment?: string;
}

/** bun.lock as far as it is needed: name@version, registry, what it needs, and the hash of each package. */
interface LockFile {
  readonly workspaces: Readonly<
    Record<string, { readonly dependencies?: Readonly<Record<string, string>> } | undefined>
  >;
  readonly packages: Readonly<Record<string, readonly unknown[] | undefined>>;
}

const UNKNOWN = "NOASSERTION";
const ENGINE = "node-llama-cpp";

/** What the executable is made of: everything that bun.lock pins for production, and Bun itself. */
export async function listProgramParts(root: string): Promise<Component[]> {
  const lock = await readLock(join(root, "bun.lock"));
  const names = new Set<string>();
  const visit = (key: string, parents: readonly string[]): void => {
    const place = findPlace(lock, key, parents);
    if (place === undefined || names.has(place)) return;
    names.add(place);
    for (const name of Object.keys(dependenciesOf(lock.packages[place]))) {
      visit(name, [...parents, key]);
    }
  };
  for (const name of Object.keys(lock.workspaces[""]?.dependencies ?? {})) visit(name, []);
  const parts: Component[] = [];
  for (const place of [...names].sort()) {
    const component = readComponent(lock.packages[place]);
    if (component === undefined) continue;
    parts.push({ ...component, license: await readLicense(root, component) });
  }
  const bun = Bun.version;
  return [
    ...parts,
    { name: "bun", version: bun, license: "MIT", purl: `pkg:github/oven-sh/bun@${bun}` },
  ];
}

/** What the native library is made of: the engine's source, as cuda/source/bun.lock pins it, with our patches. */
export async function listEngineParts(root: string): Promise<Component[]> {
  const lock = await readLock(join(root, "cuda/source/bun.lock"));
  const source = readComponent(lock.packages[ENGINE]);
  if (source === undefined) throw new Error(`cuda/source/bun.lock pins no ${ENGINE}`);
  const patches: string[] = [];
  for await (const name of new Bun.Glob("*.patch").scan({ cwd: join(root, "cuda/patches") })) {
    patches.push(name);
  }
  const comment = `llama.cpp as its archive carries it, with ${patches.sort().join(", ")} of cuda/patches`;
  return [{ ...source, license: "MIT", comment }];
}

/** An SPDX 2.3 document; the same stamp and parts give the same text. */
export function formatSbom(
  name: string,
  { stamp, parts }: { readonly stamp: VersionStamp; readonly parts: readonly Component[] },
): string {
  const created = new Date(stamp.epochSeconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  const rootId = "SPDXRef-package";
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `${name}-${stamp.version}`,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${stamp.version}-${stamp.commit}`,
    creationInfo: { created, creators: ["Tool: cortex-package"] },
    packages: [
      {
        SPDXID: rootId,
        name,
        versionInfo: stamp.version,
        ...describeSource("GPL-3.0-only"),
        comment: `Built from the commit ${stamp.commit}`,
      },
      ...parts.map((part, index) => formatPart(part, index)),
    ],
    relationships: [
      relate("SPDXRef-DOCUMENT", "DESCRIBES", rootId),
      ...parts.map((_, index) => relate(rootId, "CONTAINS", `SPDXRef-part-${index}`)),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function formatPart(part: Component, index: number) {
  return {
    SPDXID: `SPDXRef-part-${index}`,
    name: part.name,
    versionInfo: part.version,
    ...describeSource(part.license),
    ...(part.comment === undefined ? {} : { comment: part.comment }),
    ...(part.sha512 === undefined
      ? {}
      : { checksums: [{ algorithm: "SHA512", checksumValue: part.sha512 }] }),
    externalRefs: [
      {
        referenceCategory: "PACKAGE-MANAGER",
        referenceType: "purl",
        referenceLocator: part.purl,
      },
    ],
  };
}

function describeSource(license: string) {
  return {
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    licenseDeclared: license,
    copyrightText: UNKNOWN,
  };
}

function relate(spdxElementId: string, relationshipType: string, relatedSpdxElement: string) {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}

async function readLock(path: string): Promise<LockFile> {
  return Bun.JSONC.parse(await Bun.file(path).text()) as LockFile;
}

/** bun.lock names a package that differs below another one "parent/name". */
function findPlace(
  { packages }: LockFile,
  name: string,
  parents: readonly string[],
): string | undefined {
  for (let depth = parents.length; depth >= 0; depth -= 1) {
    const place = [...parents.slice(0, depth), name].join("/");
    if (packages[place] !== undefined) return place;
  }
  // An optional peer that nobody wanted.
  return undefined;
}

function dependenciesOf(entry: readonly unknown[] | undefined): Readonly<Record<string, string>> {
  const details = entry?.find((part) => typeof part === "object" && part !== null) ?? {};
  return (details as { dependencies?: Record<string, string> }).dependencies ?? {};
}

/** Undefined for a package of this repository, which has no archive. */
function readComponent(entry: readonly unknown[] | undefined): Component | undefined {
  const [label, , , integrity] = entry ?? [];
  if (typeof label !== "string" || typeof integrity !== "string") return undefined;
  const at = label.lastIndexOf("@");
  const [name, version] = [label.slice(0, at), label.slice(at + 1)];
  const sha512 = Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return { name, version, license: UNKNOWN, purl, sha512 };
}

/** Packages that the root does not name lie in the folder of bun's isolated installs. */
async function readLicense(root: string, { name, version }: Component): Promise<string> {
  const modules = join(root, "node_modules");
  const isolated = `${name.replace("/", "+")}@${version}`;
  const folders = (await readdir(join(modules, ".bun")).catch(() => []))
    .filter((folder) => folder === isolated || folder.startsWith(`${isolated}+`))
    .map((folder) => join(".bun", folder, "node_modules", name));
  for (const folder of [...folders.sort(), name]) {
    const file = Bun.file(join(modules, folder, "package.json"));
    if (!(await file.exists())) continue;
    const manifest = (await file.json()) as { version?: unknown; license?: unknown };
    const { license } = manifest;
    if (manifest.version !== version || typeof license !== "string") continue;
    // What is no plain SPDX expression says nothing to readers of SBOMs.
    if (/^[A-Za-z0-9.+() -]+$/.test(license)) return license;
  }
  return UNKNOWN;
}
