import { installPackages } from "./install-packages.ts";

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
  await installPackages(
    missing.map(({ commands, apt, dnf }) => ({ command: commands[0], apt, dnf })),
    "test the dashboard",
  );
}

function find(commands: readonly string[]): string | undefined {
  return commands.map((command) => Bun.which(command)).find((path) => path !== null) ?? undefined;
}
