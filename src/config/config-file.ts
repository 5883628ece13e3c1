import { stat } from "node:fs/promises";
import { CortexError } from "../base/errors.ts";
import type { Environment } from "./token-variable.ts";
import { type ConfigOverride, TomlDocument } from "./toml-document.ts";

/** Where the packages put configuration. */
export const CONFIG_FOLDER = "/etc/cortex";

/** Above any sensible file; keeps a mistyped path to a model from being read into memory. */
const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

/** What every loader of a configuration takes. */
export interface LoadConfigOptions {
  readonly file?: string | undefined;
  readonly overrides?: readonly ConfigOverride[];
  readonly env?: Environment;
  /** In place of {@link CONFIG_FOLDER}. */
  readonly folder?: string;
}

export interface ConfigSource {
  /** A file that somebody named: it must exist. */
  readonly file?: string | undefined;
  /** A file that is read when it exists. */
  readonly fallbackFile?: string | undefined;
  readonly overrides?: readonly ConfigOverride[];
}

/** The document to check and the file that it came from; without a file, an empty document. */
export async function readConfigFile(
  source: ConfigSource,
): Promise<{ readonly document: TomlDocument; readonly file: string | undefined }> {
  const { file: named, fallbackFile } = source;
  const file = named ?? ((await exists(fallbackFile)) ? fallbackFile : undefined);
  const text = file === undefined ? "" : await readText(file);
  const document = new TomlDocument(text, { file: file ?? "built-in defaults" });
  for (const override of source.overrides ?? []) document.override(override);
  return { document, file };
}

async function exists(file: string | undefined): Promise<boolean> {
  if (file === undefined) return false;
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true;
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > CONFIG_BYTES_MAX) {
      throw new Error(`it has ${size} bytes, the limit is ${CONFIG_BYTES_MAX}`);
    }
    return await Bun.file(file).text();
  } catch (cause) {
    throw new CortexError("invalid_config", `Cannot read ${file}`, {
      cause,
      hint: `ls -l ${file}`,
    });
  }
}
