import ts from "typescript";
import type { ParsedFile, SourceText, Violation } from "./source-file.ts";

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;
/** TypeScript's code is held to 100 by the formatter; this is for comments, C++ and TOML, which it leaves alone. */
const COLUMNS_MAX = 120;

const NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d|example|config|bench))?\.[a-z]+$/;
const VAGUE_NAMES = /^(utils?|helpers?|common|misc|shared|stuff)\b/;

/** Rules "file-length" and "columns", for text of any kind. */
export function checkSizes(file: SourceText): Violation[] {
  const lines = file.text.split("\n");
  const found: Violation[] = [];
  const count = file.text.endsWith("\n") ? lines.length - 1 : lines.length;
  if (count > FILE_LINES_MAX) {
    const message = `${count} lines, the limit is ${FILE_LINES_MAX}: look for the second job`;
    found.push({ rule: "file-length", path: file.path, line: FILE_LINES_MAX, message });
  }
  for (const [index, line] of lines.entries()) {
    if (line.length <= COLUMNS_MAX || (/\.tsx?$/.test(file.path) && !isComment(line))) continue;
    const message = `${line.length} columns, the limit is ${COLUMNS_MAX}`;
    found.push({ rule: "columns", path: file.path, line: index + 1, message });
  }
  return found;
}

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/?\*)/.test(line);
}

/** Rule "name": kebab-case, and a name that says what is inside. */
export function checkName({ path }: Pick<SourceText, "path">): Violation[] {
  const name = path.split("/").at(-1) ?? "";
  const complain = (message: string) => [{ rule: "name", path, line: 1, message }];
  if (VAGUE_NAMES.test(name))
    return complain(`${name} says nothing: name it after its main export`);
  if (/\.tsx?$/.test(path) && !NAME.test(name)) return complain(`${name} is not kebab-case`);
  if (name === "index.ts" && path !== "cuda/index.ts") {
    return complain("index.ts is a file of re-exports or has a better name");
  }
  return [];
}

/** Rule "function-length". The callback of describe() is a chapter of tests and no function. */
export function checkFunctionLengths(file: ParsedFile): Violation[] {
  const found: Violation[] = [];
  file.walk((node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return;
    if (isDescribeCallback(node)) return;
    const start = file.lineOf(node);
    const end = file.tree.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
    const lines = end - start + 1;
    if (lines <= FUNCTION_LINES_MAX) return;
    const message = `function of ${lines} lines, the limit is ${FUNCTION_LINES_MAX}`;
    found.push(file.violation("function-length", node, message));
  });
  return found;
}

function isDescribeCallback(node: ts.Node): boolean {
  const call = node.parent;
  return ts.isCallExpression(call) && /^describe\b/.test(call.expression.getText());
}

/** Rule "leftover": marks of unfinished work in any text. */
export function checkLeftovers(file: SourceText): Violation[] {
  return file.text.split("\n").flatMap((line, index) => {
    const mark = /\b(TODO|FIXME|XXX|HACK)\b/.exec(line)?.[1];
    if (mark === undefined) return [];
    const message = `${mark}: do it, or write down elsewhere that it is missing`;
    return [{ rule: "leftover", path: file.path, line: index + 1, message }];
  });
}
