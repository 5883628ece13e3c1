import { installPackages } from "./install-packages.ts";

const BUILDERS = [{ command: "rpmbuild", apt: "rpm", dnf: "rpm-build" }];
const CHECKERS = [
  { command: "rpmlint", apt: "rpmlint", dnf: "rpmlint" },
  { command: "systemd-analyze", apt: "systemd", dnf: "systemd" },
];

/**
 * Installs what builds packages, and what their tests need where asked, as root on Debian or Fedora; elsewhere its
 * error holds the line to type.
 */
export async function ensureRpm(options: { readonly withChecks?: boolean } = {}): Promise<void> {
  const tools = [...BUILDERS, ...(options.withChecks === true ? CHECKERS : [])];
  await installPackages(
    tools.filter(({ command }) => Bun.which(command) === null),
    "build packages",
  );
}
