import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { arrangeWheels } from "./native-cuda-wheels.ts";
import { Progress, run, say } from "./native-progress.ts";
import {
  buildsFolder,
  CUDA_FOLDER,
  copyOwnSources,
  ensureSource,
  exists,
  forgetOldBuilds,
  hashOf,
  ownSourceBytes,
  place,
  withLock,
} from "./native-source.ts";
import { ensureToolchain, type Toolchain } from "./native-toolchain.ts";

const CUDA_ARCHITECTURES = { ampere: "86", ada: "89", blackwell: "120" } as const;
const ENGINE_LABEL = "llama.cpp v0.5.0 (node-llama-cpp 3.22.1)";
/** Flags of the plain llama-server that benchmarks compare with; the same code generation as the library's. */
const SERVER_FLAGS = [
  "-DCMAKE_BUILD_TYPE=Release",
  "-DBUILD_SHARED_LIBS=OFF",
  "-DCMAKE_POSITION_INDEPENDENT_CODE=ON",
  "-DGGML_NATIVE=ON",
  "-DGGML_OPENMP=OFF",
  "-DGGML_RPC=ON",
  "-DGGML_CCACHE=OFF",
  "-DLLAMA_OPENSSL=OFF",
  "-DLLAMA_BUILD_UI=OFF",
  "-DLLAMA_USE_PREBUILT_UI=OFF",
  "-DLLAMA_BUILD_TESTS=OFF",
  "-DLLAMA_BUILD_EXAMPLES=OFF",
  "-DLLAMA_BUILD_APP=OFF",
] as const;

export type NativeFlavour = "cpu" | keyof typeof CUDA_ARCHITECTURES;

export interface BuildNativeOptions {
  readonly flavour?: NativeFlavour;
  /** A CUDA architecture such as "90" in place of a named flavour's. */
  readonly arch?: string;
  /** For any x86-64-v3 CPU instead of this machine's. */
  readonly release?: boolean;
  /** Folder of NVIDIA's Python wheels, in place of an installed CUDA toolkit. */
  readonly cudaWheels?: string;
  /** Files that are compiled at once; by the number of cores when left out. */
  readonly jobs?: number;
}

interface Plan {
  readonly flavour: string;
  readonly library: string;
  /** Where the checkout gets it, below cuda/lib. */
  readonly target: string;
  readonly flags: readonly string[];
}

/**
 * Builds the native library unless an equal build is in the cache, links it to cuda/lib and returns that path. The
 * first build takes minutes, one after a change of our own sources seconds.
 */
export async function buildNative(options: BuildNativeOptions = {}): Promise<string> {
  const toolkit =
    options.cudaWheels === undefined
      ? undefined
      : await arrangeWheels(options.cudaWheels, buildsFolder());
  const plan = planBuild(options, toolkit?.nccl);
  const cuda = plan.library === "libneuron_cuda.so";
  const tools = await ensureToolchain({ cuda, cudaHome: toolkit?.home });
  return await withLock(join(buildsFolder(), "build.lock"), async () => {
    const source = await ensureSource({ patched: true });
    const toolParts = [
      tools.compilerVersion,
      tools.nvccVersion ?? "",
      options.release ? "" : tools.cpu,
    ];
    const objectsKey = await hashOf([source.key, ...plan.flags, tools.generator, ...toolParts]);
    const key = await hashOf([objectsKey, plan.flavour, ...(await ownSourceBytes())]);
    const built = join(buildsFolder(), key, plan.library);
    if (!(await exists(built))) {
      const objects = join(buildsFolder(), `objects-${objectsKey}`);
      await copyOwnSources(join(objects, "neuron"));
      await compile({
        source: join(objects, "neuron"),
        objects,
        flags: [
          ...plan.flags,
          `-DNRN_LLAMA_DIR=${source.path}`,
          `-DNRN_BUILD_LABEL=${ENGINE_LABEL}`,
        ],
        target: "neuron",
        label: `Building ${plan.library} (${plan.flavour})`,
        tools,
        jobs: options.jobs,
      });
      await place(join(objects, "build", plan.library), built);
    }
    const target = join(CUDA_FOLDER, "lib", plan.target);
    await place(built, target);
    await forgetOldBuilds([source.key, objectsKey, key]);
    if (cuda) await place(built, join(CUDA_FOLDER, "lib", plan.library));
    return target;
  });
}

/** What llama-server's build needs on some compilers, as the library's does. */
const TILES = join(CUDA_FOLDER, "src/amx-tiles.cmake");

/** Builds llama-server from the same source without our patches, for benchmarks; returns its path. */
export async function buildLlamaServer(): Promise<string> {
  const tools = await ensureToolchain({ cuda: false });
  return await withLock(join(buildsFolder(), "build.lock"), async () => {
    const source = await ensureSource({ patched: false });
    const key = await hashOf([
      source.key,
      ...SERVER_FLAGS,
      await readFile(TILES),
      tools.generator,
      tools.compilerVersion,
      tools.cpu,
    ]);
    const objects = join(buildsFolder(), `server-${key}`);
    const path = join(objects, "build/bin/llama-server");
    const label = "Building llama-server, unpatched";
    if (!(await exists(path))) {
      await mkdir(objects, { recursive: true });
      const tiles = join(objects, basename(TILES));
      await copyFile(TILES, tiles);
      await compile({
        source: source.path,
        objects,
        flags: [...SERVER_FLAGS, `-DCMAKE_PROJECT_INCLUDE=${tiles}`],
        target: "llama-server",
        label,
        tools,
      });
    }
    return path;
  });
}

function planBuild(options: BuildNativeOptions, ncclOfWheels: string | undefined): Plan {
  const flavour = options.flavour ?? "cpu";
  const native = `-DNRN_NATIVE=${options.release ? "OFF" : "ON"}`;
  if (flavour === "cpu" && options.arch === undefined) {
    const library = "libneuron_cpu.so";
    const target = options.release ? `release/${library}` : library;
    return { flavour, library, target, flags: [native, "-DNRN_FLAVOUR=cpu"] };
  }
  const arch = options.arch ?? CUDA_ARCHITECTURES[flavour as keyof typeof CUDA_ARCHITECTURES];
  const name = options.arch === undefined ? flavour : `cuda${options.arch}`;
  const nccl = process.env["NCCL_ROOT"] ?? ncclOfWheels;
  return {
    flavour: name,
    library: "libneuron_cuda.so",
    target: `${options.release ? "release/" : ""}${name}/libneuron_cuda.so`,
    flags: [
      native,
      `-DNRN_FLAVOUR=${name}`,
      `-DNRN_CUDA_ARCH=${arch}`,
      ...(nccl === undefined ? [] : [`-DNCCL_ROOT=${nccl}`]),
      // A package's libraries are where the system looks, not where this machine has its toolkit.
      ...(options.release ? ["-DCMAKE_SKIP_BUILD_RPATH=ON"] : []),
    ],
  };
}

interface Compilation {
  readonly source: string;
  readonly objects: string;
  readonly flags: readonly string[];
  readonly target: string;
  readonly label: string;
  readonly tools: Toolchain;
  readonly jobs?: number | undefined;
}

/** Configures and builds one target; objects of an interrupted build are taken up again. */
async function compile({
  source,
  objects,
  flags,
  target,
  label,
  tools,
  jobs = Math.max(1, availableParallelism()),
}: Compilation): Promise<void> {
  const build = join(objects, "build");
  const logPath = join(objects, "build.log");
  await mkdir(build, { recursive: true });
  await rm(logPath, { force: true });
  const nvcc =
    tools.nvcc === undefined
      ? []
      : [
          `-DCMAKE_CUDA_COMPILER=${tools.nvcc}`,
          `-DCUDAToolkit_ROOT=${resolve(tools.nvcc, "../..")}`,
        ];
  const compiler = `-DCMAKE_CXX_COMPILER=${tools.compiler}`;
  say(label);
  await run(
    ["cmake", "-S", source, "-B", build, "-G", tools.generator, compiler, ...nvcc, ...flags],
    { logPath },
  );
  const progress = new Progress(label);
  await run(["cmake", "--build", build, "--target", target, "--parallel", String(jobs)], {
    logPath,
    progress,
  });
}

const USAGE = `Usage: bun scripts/build-native.ts [--flavour cpu|ampere|ada|blackwell] [--arch NN] [--release]
         [--cuda-wheels FOLDER] [--jobs N] [--print-path]

  --flavour             what to build for; default cpu
  --arch NN             a CUDA architecture of its own, such as 90
  --release             for any x86-64-v3 CPU instead of this machine's
  --cuda-wheels FOLDER  NVIDIA's Python wheels in place of an installed CUDA toolkit (cuda/README.md)
  --jobs N              files compiled at once; by the number of cores when left out
  --print-path          print nothing but the library's path
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      flavour: { type: "string", default: "cpu" },
      arch: { type: "string" },
      release: { type: "boolean", default: false },
      "cuda-wheels": { type: "string" },
      jobs: { type: "string" },
      "print-path": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.flavour !== "cpu" && !Object.hasOwn(CUDA_ARCHITECTURES, values.flavour)) {
    throw new Error(`Unknown flavour '${values.flavour}': must be cpu, ampere, ada or blackwell`);
  }
  if (values.arch !== undefined && !/^\d{2,3}[af]?$/.test(values.arch)) {
    throw new Error(`Unknown architecture '${values.arch}': must be a number such as 90`);
  }
  if (values.jobs !== undefined && !/^[1-9]\d{0,2}$/.test(values.jobs)) {
    throw new Error(`Cannot compile ${values.jobs} files at once: must be from 1 to 999`);
  }
  const path = await buildNative({
    flavour: values.flavour as NativeFlavour,
    release: values.release,
    ...(values.arch === undefined ? {} : { arch: values.arch }),
    ...(values["cuda-wheels"] === undefined ? {} : { cudaWheels: values["cuda-wheels"] }),
    ...(values.jobs === undefined ? {} : { jobs: Number(values.jobs) }),
  });
  process.stdout.write(values["print-path"] ? `${path}\n` : `Built ${path}\n`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
