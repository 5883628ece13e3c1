import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { VERSION } from "../src/base/version.ts";
import { bundleDashboard } from "../src/dashboard/bundle.ts";
import { buildNative } from "./build-native.ts";

const ROOT = join(import.meta.dir, "..");
const SOURCE = join(ROOT, "src");
/** Where `bun run build` leaves the executable. */
export const EXECUTABLE = join(ROOT, "dist/cortex");

/**
 * A Worker's file must be an entry point of its own to be found in the executable, by its path below src; see
 * src/neuron/worker/start-worker.ts.
 */
const ENTRY_POINTS = [join(SOURCE, "main.ts"), join(SOURCE, "neuron/worker/entry.ts")];

export interface BuildOptions {
  /** False leaves the native library out: the executable then looks for one beside itself. */
  readonly native?: boolean;
  /** A library that is built already, in place of this machine's own build. */
  readonly library?: string;
  readonly outfile?: string;
  /** What `version --json` says of the build, such as a package's version. */
  readonly label?: string;
}

/**
 * Builds the native CPU library and the one executable that holds it and every role. The result has run once before
 * it gets its name, because a bundle can be broken although the bundler succeeded. Returns its path.
 */
export async function build(options: BuildOptions = {}): Promise<string> {
  const { native = true, outfile = EXECUTABLE } = options;
  const library = options.library ?? (native ? await buildNative({ flavour: "cpu" }) : undefined);
  await mkdir(dirname(outfile), { recursive: true });
  // The bundler leaves files of its own beside the executable; the folder's file system is that of the last rename.
  const folder = await mkdtemp(join(dirname(outfile), ".build-"));
  const fresh = join(folder, basename(outfile));
  try {
    const dashboard = await writeDashboard();
    await compile(fresh, { library, dashboard, label: options.label });
    await checkRuns(fresh, { hasLibrary: library !== undefined });
    await rename(fresh, outfile);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return outfile;
}

/**
 * Bundles the dashboard's page into one file; src/gateway/http/dashboard-assets.ts looks for it by this name. Its place
 * is always the same, for the executable holds the path and must not differ from build to build.
 */
async function writeDashboard(): Promise<string> {
  const path = join(ROOT, "dist/dashboard-bundle.gz");
  const fresh = `${path}.${process.pid}`;
  const text = JSON.stringify(await bundleDashboard());
  await Bun.write(fresh, Bun.gzipSync(new TextEncoder().encode(text), { level: 9 }));
  await rename(fresh, path);
  return path;
}

interface CompileOptions {
  readonly library: string | undefined;
  readonly dashboard: string;
  readonly label: string | undefined;
}

async function compile(
  outfile: string,
  { library, dashboard, label }: CompileOptions,
): Promise<void> {
  const assets = library === undefined ? [dashboard] : [dashboard, library];
  const result = await Bun.build({
    entrypoints: [...ENTRY_POINTS, ...assets],
    root: SOURCE,
    target: "bun",
    // Bytecode needs ESM here: 13 ms instead of 41 ms until --help is out.
    format: "esm",
    bytecode: true,
    minify: { syntax: true, whitespace: true },
    sourcemap: "inline",
    define: label === undefined ? {} : { CORTEX_BUILD_LABEL: JSON.stringify(label) },
    loader: { ".so": "file", ".gz": "file" },
    // Bun.embeddedFiles then holds library and dashboard under their own names, by which they are looked for.
    naming: { asset: "[name].[ext]" },
    // Files of the folder in which somebody runs cortex are none of its business.
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  });
  if (!result.success) throw new AggregateError(result.logs, "The bundler failed");
}

async function checkRuns(
  executable: string,
  expected: { readonly hasLibrary: boolean },
): Promise<void> {
  const child = Bun.spawn([executable, "version", "--json"], {
    cwd: "/",
    env: {},
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`The new executable ends with code ${code}: ${errors}`);
  const said = JSON.parse(out) as {
    readonly version: string;
    readonly compiled: boolean;
    readonly libraries: readonly string[];
  };
  if (said.version !== VERSION || !said.compiled) {
    throw new Error(`The new executable says ${out.trim()}`);
  }
  if (expected.hasLibrary && said.libraries.length === 0) {
    throw new Error("The new executable does not hold the native library");
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      native: { type: "boolean", default: true },
      library: { type: "string" },
      outfile: { type: "string" },
    },
  });
  const path = await build({
    native: values.native,
    ...(values.library === undefined ? {} : { library: values.library }),
    ...(values.outfile === undefined ? {} : { outfile: values.outfile }),
  });
  process.stdout.write(`${path} (${Math.round(Bun.file(path).size / 1_000_000)} MB)\n`);
}
