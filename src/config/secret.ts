import { readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { CortexError, describeError } from "../base/errors.ts";
import type { ConfigIssue } from "./check-config.ts";
import type { Environment } from "./environment.ts";
import type { TomlPath } from "./toml-positions.ts";

/** Where a token or key is: a variable or a file, by the keys `*_env` and `*_file`. */
export interface SecretSource {
  readonly variable: string | undefined;
  /** An absolute path, see {@link locateSecretFile}. */
  readonly file: string | undefined;
  /** What it may consist of; one word when left out. */
  readonly allowed?: RegExp;
}

/** A secret, and what is wrong with its file's mode. */
export interface Secret {
  readonly value: string;
  readonly warning: string | undefined;
}

/** What a token or key consists of. */
const WORD = /^[\x21-\x7e]*$/;
/** Several headers with their values. */
export const HEADER_TEXT = /^[\x20-\x7e\r\n]*$/;
/** Above any token; a mistyped path must not pull a model into memory. */
const SECRET_BYTES_MAX = 64 * 1024;
/** Mode bits that let users of no such group in. */
const OTHERS_MODE = 0o007;
/** What stands before the name of a credential of the service manager. */
const CREDENTIAL_PREFIX = "credential:";

/**
 * Reads a secret now, without what a newline at its end adds; undefined where none is configured or its variable is
 * not set. Throws `invalid_config` for a file that cannot be read, and for what no header may hold.
 */
export function readSecret(source: SecretSource, env: Environment): Secret | undefined {
  const { variable, file, allowed = WORD } = source;
  if (file !== undefined) return readSecretFile(file, allowed);
  const value = variable === undefined ? undefined : env[variable]?.trim();
  if (!value) return undefined;
  checkText(value, { allowed, where: variable ?? "" });
  return { value, warning: undefined };
}

/**
 * The absolute path of a `*_file`: `credential:NAME`, and a relative path where the service manager hands credentials
 * over, are in $CREDENTIALS_DIRECTORY; any other relative path begins at the configuration file. Throws
 * `invalid_config` for a credential that cannot be there.
 */
export function locateSecretFile(
  file: string,
  options: { readonly env: Environment; readonly configFile: string | undefined },
): string {
  const folder = options.env["CREDENTIALS_DIRECTORY"];
  if (file.startsWith(CREDENTIAL_PREFIX)) {
    const name = file.slice(CREDENTIAL_PREFIX.length);
    if (!/^[^/]+$/.test(name) || name === "." || name === "..") {
      throw new CortexError("invalid_config", `${JSON.stringify(name)} is no credential's name`);
    }
    if (!folder) {
      const text = `CREDENTIALS_DIRECTORY is not set, where systemd puts the credential ${name}`;
      throw new CortexError("invalid_config", text);
    }
    return join(folder, name);
  }
  if (isAbsolute(file)) return file;
  if (folder) return join(folder, file);
  return resolve(options.configFile === undefined ? "." : dirname(options.configFile), file);
}

/**
 * What is wrong with the keys NAME_env and NAME_file of one table. A secret that somebody configured and that is not
 * there would silently leave a door open.
 */
export function checkSecret(
  table: TomlPath,
  options: {
    readonly name: "token" | "api_key" | "headers";
    readonly variable: string | undefined;
    readonly file: string | undefined;
    readonly env: Environment;
    readonly configFile: string | undefined;
  },
): readonly ConfigIssue[] {
  const { name, variable, file, env } = options;
  const variablePath = [...table, `${name}_env`];
  const filePath = [...table, `${name}_file`];
  if (variable !== undefined && file !== undefined) {
    return [{ path: filePath, at: "key", message: `is beside ${name}_env; leave one of them out` }];
  }
  if (variable !== undefined && !env[variable]) {
    const message = `names the variable ${variable}, which is not set`;
    return [{ path: variablePath, at: "value", message }];
  }
  if (file === undefined) return [];
  try {
    readSecretFile(locateSecretFile(file, options), allowedIn(name));
    return [];
  } catch (thrown) {
    const message = `gives no secret: ${describeError(thrown)}`;
    return [{ path: filePath, at: "value", message }];
  }
}

/** The files of tokens and keys that a checked configuration names; a running role reads them when they change. */
export function listSecretFiles(config: object): readonly string[] {
  const { neuron, neurons = [] } = config as {
    readonly neuron?: SecretKeys;
    readonly neurons?: readonly SecretKeys[];
  };
  return [...(neuron === undefined ? [] : [neuron]), ...neurons]
    .flatMap(({ token_file, api_key_file }) => [token_file, api_key_file])
    .filter((file) => file !== undefined);
}

/** What is wrong with the modes of the secrets' files that a checked configuration names. */
export function listSecretWarnings(config: object): readonly string[] {
  const { telemetry } = config as { readonly telemetry?: { readonly headers_file?: string } };
  const files = [...listSecretFiles(config), telemetry?.headers_file].filter(
    (file) => file !== undefined,
  );
  return [...new Set(files)]
    .map((file) => readSecretFile(file, HEADER_TEXT).warning)
    .filter((warning) => warning !== undefined);
}

interface SecretKeys {
  readonly token_file?: string;
  readonly api_key_file?: string;
}

function allowedIn(name: "token" | "api_key" | "headers"): RegExp {
  return name === "headers" ? HEADER_TEXT : WORD;
}

function readSecretFile(file: string, allowed: RegExp): Secret {
  const { text, mode } = readText(file);
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw new CortexError("invalid_config", `${file} is empty`);
  checkText(value, { allowed, where: file });
  const isOpen = (mode & OTHERS_MODE) !== 0;
  const shown = (mode & 0o777).toString(8).padStart(3, "0");
  const warning = isOpen
    ? `${file} has mode ${shown}, so that every user reads it: chmod o= ${file}`
    : undefined;
  return { value, warning };
}

function readText(file: string): { readonly text: string; readonly mode: number } {
  try {
    const { size, mode } = statSync(file);
    if (size > SECRET_BYTES_MAX) {
      throw new Error(`it has ${size} bytes, the limit is ${SECRET_BYTES_MAX}`);
    }
    return { text: readFileSync(file, "utf8"), mode };
  } catch (cause) {
    throw new CortexError("invalid_config", `Cannot read ${file}`, { cause });
  }
}

function checkText(
  value: string,
  { allowed, where }: { readonly allowed: RegExp; readonly where: string },
): void {
  if (allowed.test(value)) return;
  throw new CortexError("invalid_config", `${where} holds what no header may hold`);
}
