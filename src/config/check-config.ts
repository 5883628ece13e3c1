import type { Static, TObject, TSchema } from "@sinclair/typebox";
import { Value, type ValueError, ValueErrorType } from "@sinclair/typebox/value";
import { CortexError } from "../base/errors.ts";
import { findNearest } from "../base/nearest.ts";
import { describeAllowed, literalsOf } from "./describe-schema.ts";
import type { TomlDocument } from "./toml-document.ts";
import type { TomlPath } from "./toml-positions.ts";

/** Something wrong with one value; `message` goes on from the key's name. */
export interface ConfigIssue {
  readonly path: TomlPath;
  readonly at: "key" | "value";
  readonly message: string;
}

/** What a schema cannot say: values that contradict each other. */
export type CrossCheck<Config> = (config: Config) => readonly ConfigIssue[];

/**
 * Fills in defaults, checks everything and freezes the result. Throws one `invalid_config` that lists every error as
 * `file:line:column: …`, in the file's order. Cross checks run once the schema holds.
 */
export function checkConfig<S extends TObject>(
  schema: S,
  document: TomlDocument,
  crossChecks: readonly CrossCheck<Static<S>>[] = [],
): Static<S> {
  const filled = Value.Default(schema, structuredClone(document.data));
  const issues = new Map<string, ConfigIssue>();
  for (const error of Value.Errors(schema, filled)) {
    const issue = toIssue(error, schema);
    // One value can break several rules: the first one says enough.
    const key = JSON.stringify(issue.path);
    if (!issues.has(key)) issues.set(key, issue);
  }
  if (issues.size > 0) throw toConfigError(document, [...issues.values()]);
  const config = filled as Static<S>;
  const crossed = crossChecks.flatMap((check) => check(config));
  if (crossed.length > 0) throw toConfigError(document, crossed);
  return deepFreeze(config);
}

function toConfigError(document: TomlDocument, issues: readonly ConfigIssue[]): CortexError {
  const lines = issues
    .map((issue) => ({ where: document.locate(issue.path, issue.at), issue }))
    .sort((a, b) => compareNaturally(a.where, b.where))
    .map(({ where, issue }) => `${where}: ${namePath(issue.path)} ${issue.message}`);
  const count = lines.length === 1 ? "1 error" : `${lines.length} errors`;
  return new CortexError("invalid_config", `${document.file} has ${count}\n${lines.join("\n")}`, {
    figures: { errors: lines },
  });
}

function compareNaturally(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

/** `neurons[0].name`, as a reader would say it. */
function namePath(path: TomlPath): string {
  let name = "";
  for (const step of path) {
    name += typeof step === "number" ? `[${step}]` : `${name === "" ? "" : "."}${step}`;
  }
  return name;
}

function toIssue(error: ValueError, root: TObject): ConfigIssue {
  const path = parsePointer(error.path);
  if (error.type === ValueErrorType.ObjectAdditionalProperties) {
    return { path, at: "key", message: describeUnknown(path, root) };
  }
  if (error.value === undefined) {
    return { path, at: "key", message: `is missing; it must be ${describeAllowed(error.schema)}` };
  }
  const allowed = describeAllowed(error.schema);
  const near = findNearest(String(error.value), literalsOf(error.schema));
  const guess = near === undefined ? "" : `; did you mean ${JSON.stringify(near)}?`;
  const shown = showValue(error.value);
  return { path, at: "value", message: `is ${shown}, but must be ${allowed}${guess}` };
}

function showValue(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function describeUnknown(path: TomlPath, root: TObject): string {
  const name = String(path.at(-1));
  const siblings = Object.keys(propertiesAt(root, path.slice(0, -1)));
  const guess = findNearest(name, siblings);
  if (guess !== undefined) return `is not a key of cortex; did you mean ${guess}?`;
  for (const [table, schema] of Object.entries(propertiesAt(root, []))) {
    if (name in (schema["properties"] ?? {})) {
      return `is not a key of this table; it belongs under [${table}]`;
    }
  }
  return `is not a key of cortex; the keys here are ${siblings.join(", ")}`;
}

/** The properties of the object schema that a path leads to; a list's items count as the list. */
function propertiesAt(root: TObject, path: TomlPath): Readonly<Record<string, TSchema>> {
  let schema: TSchema = root;
  for (const step of path) {
    schema = (typeof step === "number" ? schema["items"] : schema["properties"]?.[step]) ?? {};
  }
  return schema["properties"] ?? {};
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

function parsePointer(pointer: string): TomlPath {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
}
