import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where this daemon keeps what should outlive it: CORTEX_STATE_DIR, else systemd's StateDirectory, else
 * $XDG_STATE_HOME/cortex, else ~/.local/state/cortex.
 */
export function stateFolder(env: Readonly<Record<string, string | undefined>>): string {
  const given = env["CORTEX_STATE_DIR"] || env["STATE_DIRECTORY"]?.split(":")[0];
  if (given) return given;
  return join(env["XDG_STATE_HOME"] || join(homedir(), ".local/state"), "cortex");
}
