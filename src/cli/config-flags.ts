import type { ConfigOverride } from "../config/toml-document.ts";

/** A flag's text that a configuration key takes as a number; anything else is left for the schema to refuse. */
function toNumber(text: string): unknown {
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

/** The override that a flag makes, if it was given. */
export function overrideWith(
  flag: string,
  options: {
    readonly path: ConfigOverride["path"];
    readonly text: string | undefined;
    readonly isNumber?: boolean;
  },
): readonly ConfigOverride[] {
  const { path, text, isNumber = false } = options;
  if (text === undefined) return [];
  return [{ path, value: isNumber ? toNumber(text) : text, origin: flag }];
}
