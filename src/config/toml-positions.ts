import { type AST, parseTOML } from "toml-eslint-parser";

/** Where something stands in a file, line and column from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
  /** Its characters in that line; infinite where it goes on in the next one. */
  readonly length: number;
}

/** One step into a document: a key, or an index of a list. */
export type TomlPath = readonly (string | number)[];

/** Where a path's key and its value stand; a table's key is its header. */
export interface PositionPair {
  readonly key: Position;
  readonly value: Position;
}

/**
 * Finds where each key of a TOML text stands, by {@link positionKey}. The text must be valid TOML.
 * A second parse, done only to print an error, because the parser that reads values keeps no positions.
 */
export function findPositions(text: string): Map<string, PositionPair> {
  const found = new Map<string, PositionPair>();
  for (const node of parseTOML(text).body[0].body) {
    if (node.type === "TOMLTable") {
      const start = positionOfHeader(node);
      addPrefixes(found, node.resolvedKey, { key: start, value: start });
      for (const pair of node.body) addPair(found, node.resolvedKey, pair);
    } else {
      addPair(found, [], node);
    }
  }
  return found;
}

/** A path as a map's key. */
export function positionKey(path: TomlPath): string {
  return JSON.stringify(path);
}

function addPair(found: Map<string, PositionPair>, table: TomlPath, pair: AST.TOMLKeyValue): void {
  const names = pair.key.keys.map((key) => (key.type === "TOMLBare" ? key.name : key.value));
  const path = [...table, ...names];
  const key = positionOf(pair.key);
  addPrefixes(found, path, { key, value: key });
  found.set(positionKey(path), { key, value: positionOf(pair.value) });
  addValue(found, path, pair.value);
}

function addValue(
  found: Map<string, PositionPair>,
  path: TomlPath,
  value: AST.TOMLContentNode,
): void {
  if (value.type === "TOMLInlineTable") {
    for (const pair of value.body) addPair(found, path, pair);
  } else if (value.type === "TOMLArray") {
    for (const [index, element] of value.elements.entries()) {
      const own = [...path, index];
      const position = positionOf(element);
      found.set(positionKey(own), { key: position, value: position });
      addValue(found, own, element);
    }
  }
}

/** A header or a dotted key also makes the tables above it; the first place that names one counts. */
function addPrefixes(
  found: Map<string, PositionPair>,
  path: TomlPath,
  position: PositionPair,
): void {
  for (let length = 1; length <= path.length; length++) {
    const key = positionKey(path.slice(0, length));
    if (!found.has(key)) found.set(key, position);
  }
}

/** A table's node ends with its last key; what is marked is its header alone. */
function positionOfHeader(table: AST.TOMLTable): Position {
  const { start } = table.loc;
  const brackets = table.kind === "array" ? 2 : 1;
  const endColumn = table.key.loc.end.column + brackets;
  return { line: start.line, column: start.column + 1, length: endColumn - start.column };
}

function positionOf({ loc }: { readonly loc: AST.SourceLocation }): Position {
  const isWhole = loc.start.line === loc.end.line;
  const length = isWhole ? loc.end.column - loc.start.column : Number.POSITIVE_INFINITY;
  return { line: loc.start.line, column: loc.start.column + 1, length };
}
