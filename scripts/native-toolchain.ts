import { existsSync, readFileSync } from "node:fs";
import { run, say } from "./native-progress.ts";

/** The tools of a build and what of them decides whether an older result still fits. */
export interface Toolchain {
  readonly generator: "Ninja" | "Unix Makefiles";
  readonly compiler: string;
  readonly compilerVersion: string;
  /** Model and instruction sets: a native build runs on no other kind. */
  readonly cpu: string;
  readonly nvcc: string | undefined;
  readonly nvccVersion: string | undefined;
}

interface Tool {
  readonly commands: readonly string[];
  readonly apt: string;
  readonly dnf: string;
}

const CMAKE_VERSION_MIN = [3, 18] as const;
const TOOLS = {
  compiler: { commands: ["c++", "g++", "clang++"], apt: "g++", dnf: "gcc-c++" },
  cmake: { commands: ["cmake"], apt: "cmake", dnf: "cmake" },
  git: { commands: ["git"], apt: "git", dnf: "git" },
  builder: { commands: ["ninja", "make"], apt: "ninja-build", dnf: "make" },
} as const satisfies Record<string, Tool>;

/**
 * Finds compiler, CMake, git and ninja or make (and nvcc for CUDA). What is missing is installed when running as
 * root, with a word before; else the error holds the line to type.
 */
export async function ensureToolchain(options: {
  readonly cuda: boolean;
  /** The CUDA toolkit to use; looked for when left out. */
  readonly cudaHome?: string | undefined;
}): Promise<Toolchain> {
  const missing = Object.values(TOOLS).filter((tool) => find(tool.commands) === undefined);
  if (missing.length > 0) await install(missing);
  await checkCmake();
  const compiler = process.env["CXX"] ?? find(TOOLS.compiler.commands) ?? "c++";
  const nvcc = options.cuda ? findNvcc(options.cudaHome) : undefined;
  return {
    generator: find(["ninja"]) === undefined ? "Unix Makefiles" : "Ninja",
    compiler,
    compilerVersion: firstLine(await run([compiler, "--version"])),
    cpu: cpuIdentity(),
    nvcc,
    nvccVersion:
      nvcc === undefined ? undefined : (await run([nvcc, "--version"])).trim().split("\n").at(-1),
  };
}

function find(commands: readonly string[]): string | undefined {
  for (const command of commands) {
    const path = Bun.which(command);
    if (path !== null) return path;
  }
  return undefined;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}

async function install(missing: readonly Tool[]): Promise<void> {
  const manager =
    find(["apt-get"]) !== undefined ? "apt" : find(["dnf"]) !== undefined ? "dnf" : undefined;
  if (manager === undefined) {
    const names = missing.map((tool) => tool.commands.join(" or ")).join(", ");
    throw new Error(
      `Cannot build the engine: missing ${names}; install them with this system's package manager`,
    );
  }
  const command =
    manager === "apt"
      ? ["apt-get", "install", "-y", "--no-install-recommends", ...missing.map((tool) => tool.apt)]
      : ["dnf", "install", "-y", ...missing.map((tool) => tool.dnf)];
  if (process.getuid?.() !== 0) {
    throw new Error(`Cannot build the engine: tools are missing. Type: sudo ${command.join(" ")}`);
  }
  say(`Tools are missing; running: ${command.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    await run(command, { env });
  } catch (error) {
    if (manager === "dnf") throw error;
    await run(["apt-get", "update"], { env }); // a fresh container has no package lists
    await run(command, { env });
  }
}

async function checkCmake(): Promise<void> {
  const line = firstLine(await run(["cmake", "--version"]));
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(line)?.slice(1) ?? []).map(Number);
  const [majorMin, minorMin] = CMAKE_VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new Error(
    `Cannot build the engine: CMake ${major}.${minor} is older than ${majorMin}.${minorMin}. ` +
      "Type: pip install cmake",
  );
}

function findNvcc(toolkit: string | undefined): string {
  if (toolkit !== undefined) return `${toolkit}/bin/nvcc`;
  const home = process.env["CUDA_HOME"] ?? process.env["CUDA_PATH"] ?? "/usr/local/cuda";
  const path = Bun.which("nvcc") ?? `${home}/bin/nvcc`;
  if (existsSync(path)) return path;
  throw new Error(
    "Cannot build a CUDA flavour: no nvcc in PATH, CUDA_HOME or /usr/local/cuda. " +
      "Install the CUDA toolkit 13 (developer.nvidia.com/cuda-downloads), name a folder of its Python wheels " +
      "with --cuda-wheels, or build --flavour cpu",
  );
}

function cpuIdentity(): string {
  try {
    const text = readFileSync("/proc/cpuinfo", "utf8");
    return (
      text
        .split("\n\n")[0]
        ?.split("\n")
        .filter((line) => /^(model name|flags|Features|CPU part)\s*:/.test(line))
        .join("\n") ?? process.arch
    );
  } catch {
    return process.arch; // not Linux
  }
}
