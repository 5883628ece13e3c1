import ts from "typescript";
import type { ParsedFile, Violation } from "./source-file.ts";

const PURE_FOLDERS = /^src\/(gateway\/(router|evictor)|translate)\//;

/** Names that reach the outside: input, output, time, chance. */
const OUTSIDE = new Set([
  "fetch",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "process",
  "Bun",
  "performance",
  "crypto",
  "WebSocket",
  "Worker",
  "console",
]);
const OUTSIDE_MEMBERS = new Set(["Date.now", "Math.random"]);
/** Modules of ours that do I/O or tell the time; their types may be imported. */
const OUTSIDE_MODULES = /^src\/base\/(log|clock|ids)\.ts$/;

/** Rule "pure": router, evictor and translate get what they need as arguments. */
export function checkPurity(file: ParsedFile): Violation[] {
  if (!PURE_FOLDERS.test(file.path)) return [];
  const found: Violation[] = [];
  for (const site of file.imports) {
    const isOutside =
      /^(node|bun):/.test(site.specifier) || OUTSIDE_MODULES.test(site.target ?? "");
    if (!isOutside || site.isTypeOnly) continue;
    const message = `a pure folder may not import ${site.specifier}`;
    found.push({ rule: "pure", path: file.path, line: site.line, message });
  }
  file.walk((node) => {
    const name = outsideName(node);
    if (name === undefined) return;
    found.push(file.violation("pure", node, `a pure folder may not use ${name}: pass it in`));
  });
  return found;
}

function outsideName(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) {
    const text = node.getText();
    return OUTSIDE_MEMBERS.has(text) ? text : undefined;
  }
  if (ts.isNewExpression(node) && node.expression.getText() === "Date") {
    return (node.arguments?.length ?? 0) === 0 ? "new Date()" : undefined;
  }
  if (!ts.isIdentifier(node) || !OUTSIDE.has(node.text)) return undefined;
  return isReference(node) ? node.text : undefined;
}

/** Whether an identifier means the global: not a property's name, a key, a parameter or a declaration. */
function isReference(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) return true;
  return ts.isElementAccessExpression(parent) && parent.expression === node;
}

/** Rule "console": output goes through the log or process.stdout. */
export function checkConsole(file: ParsedFile): Violation[] {
  if (!file.path.startsWith("src/")) return [];
  const found: Violation[] = [];
  file.walk((node) => {
    if (!ts.isPropertyAccessExpression(node) || node.expression.getText() !== "console") return;
    found.push(file.violation("console", node, "write to the log, or to process.stdout"));
  });
  return found;
}

/** Rule "documented": every export of src, cuda and scripts has a docstring. */
export function checkDocumented(file: ParsedFile): Violation[] {
  if (!/^(src|cuda|scripts)\//.test(file.path)) return [];
  return file.tree.statements.flatMap((statement) => {
    if (!isExported(statement) || ts.isExportDeclaration(statement)) return [];
    if (hasDoc(statement) || isCompanion(statement)) return [];
    const message = `export ${nameOf(statement)} has no docstring`;
    return [file.violation("documented", statement, message)];
  });
}

function isExported(statement: ts.Statement): boolean {
  if (!ts.canHaveModifiers(statement)) return false;
  const modifiers = ts.getModifiers(statement) ?? [];
  return modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword);
}

function hasDoc(statement: ts.Statement): boolean {
  return ts.getJSDocCommentsAndTags(statement).length > 0;
}

/**
 * Plain data whose name and fields say everything: an interface, a type, a constant or a schema. A function or a class
 * always has more to say.
 */
function isCompanion(statement: ts.Statement): boolean {
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) return true;
  if (!ts.isVariableStatement(statement)) return false;
  return statement.declarationList.declarations.every(({ initializer }) => {
    if (initializer === undefined) return true;
    return !ts.isArrowFunction(initializer) && !ts.isFunctionExpression(initializer);
  });
}

function nameOf(statement: ts.Statement): string {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText()).join(", ");
  }
  const { name } = statement as ts.Statement & { readonly name?: ts.Identifier };
  return name?.text ?? "";
}

/** Rule "re-export": a file that only hands on other files' exports hides where things live. */
export function checkReExports(file: ParsedFile): Violation[] {
  const { statements } = file.tree;
  const onlyHandsOn = statements.every(
    (node) => ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined,
  );
  if (statements.length === 0 || !onlyHandsOn) return [];
  return [file.violation("re-export", file.tree, "import from the files themselves")];
}
