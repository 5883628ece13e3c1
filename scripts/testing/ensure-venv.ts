import { createHash } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../../src/base/cache-folder.ts";

/** A mark inside a virtual environment that was filled to its end. */
const DONE_MARK = "cortex-complete";

/**
 * A virtual environment of Python with exactly those packages ("name==version"), kept outside the checkout; returns its
 * interpreter. As root on Debian it installs what Python needs for that; elsewhere its error holds the line to type.
 */
export async function ensureVenv(packages: readonly string[]): Promise<string> {
  await ensurePython();
  const version = await run(["python3", "--version"]);
  const key = createHash("sha256")
    .update([version, ...packages].join("\n"))
    .digest("hex")
    .slice(0, 16);
  const root = cacheFolder();
  const folder = join(root, "python", key);
  const python = join(folder, "bin/python");
  if (await Bun.file(join(folder, DONE_MARK)).exists()) return python;
  // An environment knows its own path and cannot be moved: one that is not complete is made anew in place.
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(root, "python"), { recursive: true });
  process.stdout.write(`Installing ${packages.join(", ")} into ${folder}\n`);
  await run(["python3", "-m", "venv", folder]);
  await run([
    python,
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    ...packages,
  ]);
  const mark = join(folder, DONE_MARK);
  await Bun.write(`${mark}.new`, packages.join("\n"));
  await rename(`${mark}.new`, mark);
  return python;
}

/** Debian has Python without the module that puts pip into an environment. */
async function ensurePython(): Promise<void> {
  const check = ["python3", "-c", "import ensurepip, venv"];
  if (Bun.which("python3") !== null && (await succeeds(check))) return;
  const install = ["apt-get", "install", "-y", "--no-install-recommends", "python3-venv"];
  if (process.getuid?.() !== 0 || Bun.which("apt-get") === null) {
    throw new Error(`Python's venv module is missing. Type: sudo ${install.join(" ")}`);
  }
  process.stdout.write(`Python's venv module is missing; running: ${install.join(" ")}\n`);
  if (await succeeds(install)) return;
  // A fresh container has no package lists.
  await run(["apt-get", "update"]);
  await run(install);
}

async function succeeds(command: readonly string[]): Promise<boolean> {
  return await run(command).then(
    () => true,
    () => false,
  );
}

async function run(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with code ${code}:\n${errors}${out}`);
  return out;
}
