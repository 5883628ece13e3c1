import { run, say } from "../native-progress.ts";

/** A command that is missing, and the packages that bring it. */
export interface MissingTool {
  readonly command: string;
  readonly apt: string;
  readonly dnf: string;
}

/**
 * Installs packages as root on Debian or Fedora; elsewhere throws with the line to type. `purpose` is what cannot be
 * done without them, such as "test completion".
 */
export async function installPackages(
  missing: readonly MissingTool[],
  purpose: string,
): Promise<void> {
  if (missing.length === 0) return;
  const isDebian = Bun.which("apt-get") !== null;
  const command = isDebian
    ? ["apt-get", "install", "-y", "--no-install-recommends", ...missing.map(({ apt }) => apt)]
    : ["dnf", "install", "-y", ...missing.map(({ dnf }) => dnf)];
  const names = missing.map((tool) => tool.command).join(" and ");
  if (process.getuid?.() !== 0 || (!isDebian && Bun.which("dnf") === null)) {
    throw new Error(`Cannot ${purpose} without ${names}. Type: sudo ${command.join(" ")}`);
  }
  say(`${names} missing; running: ${command.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    await run(command, { env });
  } catch (error) {
    if (!isDebian) throw error;
    await run(["apt-get", "update"], { env }); // a fresh container has no package lists
    await run(command, { env });
  }
}
