import type { Static, TObject, TSchema } from "@sinclair/typebox";
import { Value, type ValueError, ValueErrorType } from "@sinclair/typebox/value";
import { CortexError } from "../base/errors.ts";
import { findNearest } from "../base/nearest.ts";
import { describeAllowed, literalsOf } from "./describe-schema.ts";
import { describeUnknown } from "./describe-unknown.ts";
import type { TomlDocument } from "./toml-document.ts";
import type { TomlPath } from "./toml-positions.ts";

/** Something wrong with one value; `message` goes on from the key's name. */
export interface ConfigIssue {
  readonly path: TomlPath;
  readonly at: "key" | "value";
  readonly message: string;
}

/** What a schema cannot say: values of a table that contradict each other. By the table's name. */
export type CrossChecks<Config> = {
  readonly [Table in keyof Config]?: (table: Config[Table]) => readonly ConfigIssue[];
};

/**
 * Fills in defaults, checks everything and freezes the result. Throws one `invalid_config` that lists every error as
 * `file:line:column: …` with the line and a caret below it, in the file's order; its figures have the first lines
 * alone. Cross checks run on tables for which the schema holds.
 */
export function checkConfig<S extends TObject>(
  schema: S,
  document: TomlDocument,
  crossChecks: CrossChecks<Static<S>> = {},
): Static<S> {
  const data = structuredClone(document.data);
  const issues = new Map<string, ConfigIssue>();
  for (const issue of takeWrongKinds(schema, data)) issues.set(JSON.stringify(issue.path), issue);
  const filled = Value.Default(schema, data);
  for (const error of Value.Errors(schema, filled)) {
    const issue = toIssue(error, schema);
    // One value can break several rules: the first one says enough.
    const key = JSON.stringify(issue.path);
    if (!issues.has(key)) issues.set(key, issue);
  }
  const config = filled as Static<S>;
  const found = [...issues.values()];
  const broken = new Set(found.map(({ path }) => path[0]));
  const crossed = (Object.keys(crossChecks) as (keyof Static<S> & string)[])
    .filter((table) => !broken.has(table))
    .flatMap((table) => crossChecks[table]?.(config[table]) ?? []);
  const all = [...found, ...crossed];
  if (all.length > 0 || document.refused.length > 0) throw toConfigError(document, all);
  return deepFreeze(config);
}

function toConfigError(document: TomlDocument, issues: readonly ConfigIssue[]): CortexError {
  const refused = document.refused.map((line) => ({ line, excerpt: [] }));
  const found = issues
    .map((issue) => ({ ...document.locate(issue.path, issue.at), issue }))
    .sort((a, b) => compareNaturally(a.where, b.where))
    .map(({ where, excerpt, issue: { path, message } }) => ({
      line: `${where}: ${namePath(path)} ${message}`,
      excerpt,
    }));
  const errors = [...found, ...refused];
  const count = errors.length === 1 ? "1 error" : `${errors.length} errors`;
  const lines = errors.flatMap(({ line, excerpt }) => [line, ...excerpt]);
  return new CortexError("invalid_config", [`${document.file} has ${count}`, ...lines].join("\n"), {
    figures: { errors: errors.map(({ line }) => line) },
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
  const shown = showValue(error.value);
  const guess = guessMeant(error);
  return { path, at: "value", message: `is ${shown}, but must be ${allowed}${guess}` };
}

/** What somebody who wrote a value of the wrong kind most likely meant; empty when nobody knows. */
function guessMeant({ value, schema }: ValueError): string {
  const near = findNearest(String(value).toLowerCase(), literalsOf(schema));
  if (near !== undefined) return `; did you mean ${JSON.stringify(near)}?`;
  const { type } = schema as { readonly type?: string };
  const isPlain = type === "integer" || type === "number";
  const text = typeof value === "string" ? value : "";
  if ((isPlain && /^-?\d+$/.test(text)) || (type === "boolean" && /^(true|false)$/.test(text))) {
    return "; write it without quotes";
  }
  return "";
}

/**
 * Takes tables where a list of tables must be, and the other way round, out of the data and names them: the defaults
 * would be merged into them, and the check would find nothing wrong.
 */
function takeWrongKinds(
  schema: TSchema,
  data: unknown,
  path: TomlPath = [],
): readonly ConfigIssue[] {
  if (Array.isArray(data)) {
    return data.flatMap((item, index) => takeWrongKinds(schema["items"], item, [...path, index]));
  }
  const properties: Readonly<Record<string, TSchema>> = schema?.["properties"] ?? {};
  if (typeof data !== "object" || data === null) return [];
  const table = data as Record<string, unknown>;
  return Object.entries(table).flatMap(([key, value]) => {
    const inner = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (inner === undefined) return [];
    const own = [...path, key];
    const message = describeWrongKind(inner, { value, path: own });
    if (message === undefined) return takeWrongKinds(inner, value, own);
    delete table[key];
    return [{ path: own, at: "key" as const, message }];
  });
}

function describeWrongKind(
  schema: TSchema,
  { value, path }: { readonly value: unknown; readonly path: TomlPath },
): string | undefined {
  const header = path.filter((step) => typeof step === "string").join(".");
  if (schema["type"] === "object" && Array.isArray(value)) {
    return `is a list, but must be a table; write [${header}]`;
  }
  const isTable = typeof value === "object" && value !== null && !Array.isArray(value);
  if (schema["type"] !== "array" || !isTable || value instanceof Date) return undefined;
  if (schema["items"]["type"] !== "object") return "is a table, but must be a list";
  return `is a table, but must be a list of tables; write [[${header}]]`;
}

function showValue(value: unknown): string {
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
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
