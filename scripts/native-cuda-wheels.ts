import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "./native-progress.ts";
import { exists, hashOf } from "./native-source.ts";

/** What to type for a toolkit without a system-wide installation. */
export const WHEELS_COMMAND =
  "pip install --no-deps --target FOLDER nvidia-cuda-nvcc nvidia-cuda-crt nvidia-cuda-runtime " +
  "nvidia-cuda-cccl nvidia-nvvm nvidia-cublas nvidia-nccl-cu13";

const DRIVER_STUB = "lib/stubs/libcuda.so";
/** CUDA_ERROR_NOT_INITIALIZED of cuda.h. */
const NOT_INITIALISED = 3;

/** A CUDA toolkit as CMake looks for one. */
export interface CudaToolkit {
  readonly home: string;
  /** Where NCCL is, when its wheel is there. */
  readonly nccl: string | undefined;
}

/**
 * Arranges NVIDIA's Python wheels of CUDA 13 as a toolkit, by links below `cache`: libraries get the names that linkers
 * look for, and a library of the driver's functions is made, because the wheels have none and it is only linked with.
 * @throws Error when the folder has no CUDA compiler
 */
export async function arrangeWheels(folder: string, cache: string): Promise<CudaToolkit> {
  const wheels = join(resolve(folder), "nvidia");
  const cuda = join(wheels, "cu13");
  if (!(await exists(join(cuda, "bin/nvcc")))) {
    throw new Error(
      `Cannot build a CUDA flavour: no nvcc in ${cuda}/bin. Type: ${WHEELS_COMMAND.replace("FOLDER", folder)}`,
    );
  }
  const home = join(cache, `cuda-${await hashOf([cuda, ...(await readdir(join(cuda, "lib")))])}`);
  const nccl = join(home, "nccl");
  const hasNccl = await exists(join(wheels, "nccl/include/nccl.h"));
  const toolkit = { home, nccl: hasNccl ? nccl : undefined };
  // Another build may be at work with it. The stub comes last, so what has it is whole.
  if (await exists(join(home, DRIVER_STUB))) return toolkit;
  await rm(home, { recursive: true, force: true });
  await mkdir(join(home, "lib/stubs"), { recursive: true });
  for (const name of ["bin", "include", "nvvm"]) await symlink(join(cuda, name), join(home, name));
  await symlink("lib", join(home, "lib64"));
  await linkLibraries(join(cuda, "lib"), join(home, "lib"));
  if (hasNccl) {
    await mkdir(join(nccl, "lib"), { recursive: true });
    await symlink(join(wheels, "nccl/include"), join(nccl, "include"));
    await linkLibraries(join(wheels, "nccl/lib"), join(nccl, "lib"));
  }
  await makeDriverStub(join(cuda, "include/cuda.h"), join(home, DRIVER_STUB));
  return toolkit;
}

/** libcublas.so.13 is linked with as libcublas.so. */
async function linkLibraries(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    await symlink(join(from, name), join(to, name));
    const plain = name.replace(/\.so\.[\d.]+$/, ".so");
    if (plain !== name) await symlink(join(from, name), join(to, plain));
  }
}

/** The driver's library is on machines with a GPU; to link with it, its functions' names suffice. */
async function makeDriverStub(header: string, library: string): Promise<void> {
  const text = await readFile(header, "utf8");
  const names = new Set([...text.matchAll(/\b(cu[A-Z]\w*)\s*\(/g)].map((match) => match[1]));
  const source = `${library}.c`;
  const functions = [...names].map((name) => `int ${name}(void) { return ${NOT_INITIALISED}; }\n`);
  await writeFile(source, functions.join(""));
  const flags = ["-shared", "-fPIC", "-w", "-fno-builtin", "-Wl,-soname,libcuda.so.1"];
  await run(["cc", ...flags, "-o", library, source]);
  await rm(source);
}
