import ts from "typescript";

/** A file as a rule sees it; `path` is relative to the repository, with slashes. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** One broken rule at one place. */
export interface Violation {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** An import or a re-export, static or dynamic. */
export interface ImportSite {
  readonly line: number;
  /** As it is written. */
  readonly specifier: string;
  /** The imported file's path in the repository; undefined for a package. */
  readonly target: string | undefined;
  readonly isDynamic: boolean;
  readonly isTypeOnly: boolean;
}

/** A TypeScript file, parsed once for every rule. */
export class ParsedFile {
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  readonly imports: readonly ImportSite[];

  constructor({ path, text }: SourceText) {
    this.path = path;
    this.text = text;
    this.tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    this.imports = findImports(this);
  }

  /** The line of a node, from 1. */
  lineOf(node: ts.Node): number {
    return this.tree.getLineAndCharacterOfPosition(node.getStart(this.tree)).line + 1;
  }

  /** Calls `visit` for every node of the tree. */
  walk(visit: (node: ts.Node) => void): void {
    const step = (node: ts.Node): void => {
      visit(node);
      ts.forEachChild(node, step);
    };
    step(this.tree);
  }

  violation(rule: string, node: ts.Node, message: string): Violation {
    return { rule, path: this.path, line: this.lineOf(node), message };
  }
}

function findImports(file: ParsedFile): ImportSite[] {
  const sites: ImportSite[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, isTypeOnly: boolean) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    sites.push({
      line: file.lineOf(node),
      specifier: specifier.text,
      target: resolveTarget(file.path, specifier.text),
      isDynamic: ts.isCallExpression(node) || ts.isNewExpression(node),
      isTypeOnly,
    });
  };
  file.walk((node) => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeImport(node));
    else if (ts.isExportDeclaration(node)) add(node, node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node, node.arguments[0], false);
    } else if (isImportMetaUrl(node)) {
      // new URL("./entry.ts", import.meta.url) is how a Worker's file is named.
      add(node, node.arguments?.[0], false);
    }
  });
  return sites;
}

function isTypeImport(node: ts.ImportDeclaration): boolean {
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const named = clause.namedBindings;
  if (clause.name !== undefined || named === undefined || !ts.isNamedImports(named)) return false;
  return named.elements.length > 0 && named.elements.every((element) => element.isTypeOnly);
}

function isImportMetaUrl(node: ts.Node): node is ts.NewExpression {
  if (!ts.isNewExpression(node) || !ts.isIdentifier(node.expression)) return false;
  const base = node.arguments?.[1];
  return (
    node.expression.text === "URL" && base !== undefined && base.getText() === "import.meta.url"
  );
}

function resolveTarget(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const parts = from.split("/").slice(0, -1);
  for (const step of specifier.split("/")) {
    if (step === "..") parts.pop();
    else if (step !== ".") parts.push(step);
  }
  return parts.join("/");
}
