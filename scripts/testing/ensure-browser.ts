import { run, say } from "../native-progress.ts";

/** Names under which Chromium is installed, Debian's first. */
const BROWSERS = ["chromium", "chromium-browser", "google-chrome"] as const;

/** The browser's tests drive it from Node, because playwright-core hangs in Bun. */
const TOOLS = [
  { commands: BROWSERS, apt: "chromium", dnf: "chromium" },
  { commands: ["node"], apt: "nodejs", dnf: "nodejs" },
] as const;

/** Where Chromium is; undefined when it is not installed. */
export function findBrowser(): string | undefined {
  return find(BROWSERS);
}

/**
 * Installs what the dashboard's tests look at it with, where it is missing: as root on Debian or Fedora; elsewhere its
 * error holds the line to type.
 */
export async function ensureBrowser(): Promise<void> {
  const missing = TOOLS.filter(({ commands }) => find(commands) === undefined);
  if (missing.length === 0) return;
  const isDebian = Bun.which("apt-get") !== null;
  const command = isDebian
    ? ["apt-get", "install", "-y", "--no-install-recommends", ...missing.map(({ apt }) => apt)]
    : ["dnf", "install", "-y", ...missing.map(({ dnf }) => dnf)];
  if (process.getuid?.() !== 0 || (!isDebian && Bun.which("dnf") === null)) {
    const names = missing.map(({ commands }) => commands[0]).join(" and ");
    throw new Error(`Cannot test the dashboard without ${names}. Type: sudo ${command.join(" ")}`);
  }
  say(`A browser is missing; running: ${command.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    await run(command, { env });
  } catch (error) {
    if (!isDebian) throw error;
    await run(["apt-get", "update"], { env }); // a fresh container has no package lists
    await run(command, { env });
  }
}

function find(commands: readonly string[]): string | undefined {
  return commands.map((command) => Bun.which(command)).find((path) => path !== null) ?? undefined;
}
