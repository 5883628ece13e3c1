import { homedir } from "node:os";
import { join } from "node:path";

/** Where extracted libraries, builds and other things that can be made again are kept. */
export function cacheFolder(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  if (env["CORTEX_CACHE_DIR"]) return env["CORTEX_CACHE_DIR"];
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "cortex");
}
