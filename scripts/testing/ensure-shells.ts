import { run, say } from "../native-progress.ts";

/** The shells that completion is made for; each is a command and a package of the same name. */
const SHELLS = ["bash", "zsh", "fish"];

/**
 * Installs the shells in which completion is tested, as root on Debian or Fedora; elsewhere its error holds the line to
 * type.
 */
export async function ensureShells(): Promise<void> {
  const missing = SHELLS.filter((shell) => Bun.which(shell) === null);
  if (missing.length === 0) return;
  const isDebian = Bun.which("apt-get") !== null;
  const command = isDebian
    ? ["apt-get", "install", "-y", "--no-install-recommends", ...missing]
    : ["dnf", "install", "-y", ...missing];
  if (process.getuid?.() !== 0 || (!isDebian && Bun.which("dnf") === null)) {
    const names = missing.join(" and ");
    throw new Error(`Cannot test completion without ${names}. Type: sudo ${command.join(" ")}`);
  }
  say(`Shells are missing; running: ${command.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    await run(command, { env });
  } catch (error) {
    if (!isDebian) throw error;
    await run(["apt-get", "update"], { env }); // a fresh container has no package lists
    await run(command, { env });
  }
}
