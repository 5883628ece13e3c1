import { readFile, stat } from "node:fs/promises";
import type { TObject } from "@sinclair/typebox";
import { CortexError } from "../base/errors.ts";
import { applyEnvironment, type Environment } from "./environment.ts";
import { type ConfigOverride, TomlDocument } from "./toml-document.ts";

/** Where the packages put configuration. */
export const CONFIG_FOLDER = "/etc/cortex";

/** Above any sensible file; keeps a mistyped path to a model from being read into memory. */
const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

/** What every loader of a configuration takes. */
export interface LoadConfigOptions {
  readonly file?: string | undefined;
  /** What wins over the file and the environment. */
  readonly overrides?: readonly ConfigOverride[];
  /** In place of the process's own: variables that win over the file, and those that hold secrets. */
  readonly env?: Environment;
  /** False where no secret is needed and none has to be there. */
  readonly withSecrets?: boolean;
  /** In place of {@link CONFIG_FOLDER}. */
  readonly folder?: string;
}

export interface ConfigSource {
  /** A file that somebody named: it must exist. */
  readonly file?: string | undefined;
  /** A file that is read when it exists. */
  readonly fallbackFile?: string | undefined;
  readonly overrides?: readonly ConfigOverride[];
  /** Variables that may set keys of the schema. */
  readonly environment?: { readonly schema: TObject; readonly env: Environment };
}

/** The document to check and the file that it came from; without a file, an empty document. */
export async function readConfigFile(
  source: ConfigSource,
): Promise<{ readonly document: TomlDocument; readonly file: string | undefined }> {
  const { file: named, fallbackFile } = source;
  const file = named ?? ((await exists(fallbackFile)) ? fallbackFile : undefined);
  const text = file === undefined ? "" : await readText(file);
  const document = new TomlDocument(text, { file: file ?? "built-in defaults" });
  if (source.environment !== undefined) applyEnvironment(document, source.environment);
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
    return decode(await readFile(file));
  } catch (cause) {
    throw new CortexError("invalid_config", `Cannot read ${file}`, {
      cause,
      hint: `ls -l ${file}`,
    });
  }
}

/** TOML is UTF-8; editors put a byte order mark before it, or save UTF-16. */
function decode(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new Error("it is UTF-16 text; save it as UTF-8");
  }
  try {
    // Leaves a byte order mark out.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error("it is not UTF-8 text; save it as UTF-8");
  }
}
