import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.ts";
import { buildNative } from "./build-native.ts";
import { say } from "./native-progress.ts";
import { buildRpm } from "./package/build-rpm.ts";
import { checkGlibc, GLIBC_MAX } from "./package/glibc-floor.ts";
import {
  FLAVOURS,
  type Flavour,
  planGatewayPackage,
  planNeuronPackage,
} from "./package/package-plans.ts";
import { formatStamp, readCommitFacts, type VersionStamp } from "./package/version-stamp.ts";
import { ensureRpm } from "./testing/ensure-rpm.ts";

const ROOT = join(import.meta.dir, "..");

export interface PackageOptions {
  readonly flavours: readonly Flavour[];
  /** Where the packages go; dist/packages when left out. */
  readonly folder?: string;
  /** FOLDER/FLAVOUR/libneuron_*.so that are built already, in place of building them here. */
  readonly libraries?: string;
  /** The newest glibc that the packages may need. */
  readonly glibcMax?: string;
  /** In place of the present commit's. */
  readonly stamp?: VersionStamp;
}

/** Builds the package cortex and one helexa-neuron for each flavour; returns their paths. */
export async function buildPackages(options: PackageOptions): Promise<string[]> {
  const { flavours, folder = join(ROOT, "dist/packages"), glibcMax = GLIBC_MAX } = options;
  const stamp = options.stamp ?? formatStamp(await readCommitFacts(ROOT));
  const source = { root: ROOT, stamp };
  const scratch = await mkdtemp(join(tmpdir(), "cortex-package-"));
  try {
    say(`Packages of ${stamp.version}`);
    const libraries = new Map<Flavour, readonly string[]>();
    for (const flavour of flavours) libraries.set(flavour, await findLibraries(flavour, options));
    await checkGlibc([...libraries.values()].flat(), glibcMax);
    const executable = join(scratch, "cortex");
    // Without a library inside: each flavour's package has its own.
    await build({ native: false, outfile: executable, label: stamp.version });
    await checkGlibc([executable], glibcMax);
    const made = [await buildRpm(await planGatewayPackage(source, executable), { stamp, folder })];
    for (const [flavour, paths] of libraries) {
      const plan = await planNeuronPackage(source, { flavour, libraries: paths });
      made.push(await buildRpm(plan, { stamp, folder }));
    }
    return made;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A GPU's flavour has the CPU's library as well, for a host whose driver is missing or broken. */
async function findLibraries(
  flavour: Flavour,
  { libraries }: PackageOptions,
): Promise<readonly string[]> {
  const needed: readonly Flavour[] = flavour === "cpu" ? ["cpu"] : [flavour, "cpu"];
  const found: string[] = [];
  for (const part of needed) {
    const name = part === "cpu" ? "libneuron_cpu.so" : "libneuron_cuda.so";
    const path =
      libraries === undefined
        ? await buildNative({ flavour: part, release: true })
        : resolve(libraries, part, name);
    if (!(await Bun.file(path).exists())) throw new Error(`The library ${path} does not exist`);
    found.push(path);
  }
  return found;
}

const USAGE = `Usage: bun scripts/package.ts [--flavour cpu,ampere,ada,blackwell] [--out FOLDER]
         [--libraries FOLDER] [--glibc-max VERSION]

  --flavour           which helexa-neuron packages, besides cortex; default cpu
  --out FOLDER        where they go; default dist/packages
  --libraries FOLDER  libraries that are built already: FOLDER/FLAVOUR/libneuron_cpu.so or libneuron_cuda.so
  --glibc-max VERSION the newest glibc that they may need; default ${GLIBC_MAX}
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      flavour: { type: "string", default: "cpu" },
      out: { type: "string" },
      libraries: { type: "string" },
      "glibc-max": { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const glibcMax = values["glibc-max"];
  if (glibcMax !== undefined && !/^2\.\d{1,3}$/.test(glibcMax)) {
    throw new Error(`Cannot read --glibc-max ${glibcMax}: must be a version such as ${GLIBC_MAX}`);
  }
  await ensureRpm();
  const made = await buildPackages({
    flavours: readFlavours(values.flavour),
    ...(values.out === undefined ? {} : { folder: resolve(values.out) }),
    ...(values.libraries === undefined ? {} : { libraries: values.libraries }),
    ...(glibcMax === undefined ? {} : { glibcMax }),
  });
  process.stdout.write(`${made.join("\n")}\n`);
}

function readFlavours(text: string): Flavour[] {
  return [...new Set(text.split(","))].map((name) => {
    const flavour = FLAVOURS.find((known) => known === name);
    if (flavour === undefined) {
      throw new Error(`Unknown flavour '${name}': must be ${FLAVOURS.join(", ")}`);
    }
    return flavour;
  });
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
