import type { ConfigIssue } from "./check-config.ts";
import type { TomlPath } from "./toml-positions.ts";

/** Environment variables, as a loader reads them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A token that somebody configured and that is not there would silently leave a door open. */
export function checkTokenVariable(
  path: TomlPath,
  options: { readonly name: string | undefined; readonly env: Environment },
): readonly ConfigIssue[] {
  const { name, env } = options;
  if (name === undefined || env[name]) return [];
  return [{ path, at: "value", message: `names the variable ${name}, which is not set` }];
}
