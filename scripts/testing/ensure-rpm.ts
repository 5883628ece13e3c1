import { run, say } from "../native-progress.ts";

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
  const missing = [...BUILDERS, ...(options.withChecks === true ? CHECKERS : [])].filter(
    ({ command }) => Bun.which(command) === null,
  );
  if (missing.length === 0) return;
  const isDebian = Bun.which("apt-get") !== null;
  const command = isDebian
    ? ["apt-get", "install", "-y", "--no-install-recommends", ...missing.map(({ apt }) => apt)]
    : ["dnf", "install", "-y", ...missing.map(({ dnf }) => dnf)];
  if (process.getuid?.() !== 0 || (!isDebian && Bun.which("dnf") === null)) {
    const names = missing.map((tool) => tool.command).join(" and ");
    throw new Error(`Cannot build packages without ${names}. Type: sudo ${command.join(" ")}`);
  }
  say(`Tools are missing; running: ${command.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    await run(command, { env });
  } catch (error) {
    if (!isDebian) throw error;
    await run(["apt-get", "update"], { env }); // a fresh container has no package lists
    await run(command, { env });
  }
}
