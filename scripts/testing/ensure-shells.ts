import { installPackages } from "./install-packages.ts";

/** The shells that completion is made for; each is a command and a package of the same name. */
const SHELLS = ["bash", "zsh", "fish"];

/**
 * Installs the shells in which completion is tested, as root on Debian or Fedora; elsewhere its error holds the line to
 * type.
 */
export async function ensureShells(): Promise<void> {
  const missing = SHELLS.filter((shell) => Bun.which(shell) === null);
  await installPackages(
    missing.map((shell) => ({ command: shell, apt: shell, dnf: shell })),
    "test completion",
  );
}
