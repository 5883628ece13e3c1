import { run, say } from "../native-progress.ts";

const INSTALL = ["apt-get", "install", "-y", "--no-install-recommends", "prometheus"];

/**
 * Installs Prometheus's own checker of metrics and rules, as root on Debian; elsewhere its error holds what to do. The
 * package would start a server where a service manager runs, which nobody here wants.
 */
export async function ensurePromtool(): Promise<void> {
  if (Bun.which("promtool") !== null) return;
  if (process.getuid?.() !== 0 || Bun.which("apt-get") === null) {
    const text = `Metrics cannot be checked without promtool. Type: sudo ${INSTALL.join(" ")}`;
    throw new Error(`${text}, or put the promtool of a Prometheus release into the PATH`);
  }
  say(`promtool is missing; running: ${INSTALL.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  try {
    await run(INSTALL, { env });
  } catch {
    await run(["apt-get", "update"], { env }); // a fresh container has no package lists
    await run(INSTALL, { env });
  }
}
