import { join } from "node:path";
import { checkConsole, checkDocumented, checkPurity, checkReExports } from "./tidy/code-rules.ts";
import { EXEMPTIONS, type Exemption } from "./tidy/exemptions.ts";
import { checkCycles, checkDeadFiles, checkImports } from "./tidy/import-rules.ts";
import { ParsedFile, type SourceText, type Violation } from "./tidy/source-file.ts";
import { checkFunctionLengths, checkLeftovers, checkName, checkSizes } from "./tidy/text-rules.ts";

const ROOT = join(import.meta.dir, "..");
/** The files that people write here: no golden data, no generated or foreign code. */
const PATTERN = "{src,cuda,scripts,test,config}/**/*.{ts,tsx,cpp,h,toml}";
const FOREIGN = /(^|\/)(node_modules|golden|source|lib|build|patches)\//;

/** Every violation of what CONVENTIONS can state as a rule, in the order of files and lines. */
export function checkTidy(
  sources: readonly SourceText[],
  exemptions: readonly Exemption[] = EXEMPTIONS,
): Violation[] {
  const files = sources.filter(({ path }) => /\.tsx?$/.test(path)).map((it) => new ParsedFile(it));
  const found = [
    ...sources.flatMap((source) => [
      ...checkSizes(source),
      ...checkName(source),
      ...(isAboutLeftovers(source) ? [] : checkLeftovers(source)),
    ]),
    ...files.flatMap((file) => [
      ...checkImports(file),
      ...checkFunctionLengths(file),
      ...checkPurity(file),
      ...checkConsole(file),
      ...checkDocumented(file),
      ...checkReExports(file),
    ]),
    ...checkCycles(files),
    ...checkDeadFiles(files),
  ];
  const isExempt = (violation: Violation, { rule, path }: Exemption) =>
    violation.rule === rule && violation.path === path;
  const unused = exemptions
    .filter((exemption) => !found.some((violation) => isExempt(violation, exemption)))
    .map(({ rule, path }) => ({
      rule: "exemption",
      path,
      line: 1,
      message: `no longer breaks the rule ${rule}: remove its exemption`,
    }));
  return [
    ...found.filter((violation) => !exemptions.some((exemption) => isExempt(violation, exemption))),
    ...unused,
  ].sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line);
}

/** The rule's own code and tests have to spell the words. */
function isAboutLeftovers({ path }: SourceText): boolean {
  return /^(scripts\/tidy\/text-rules|test\/scripts\/tidy\.test)\.ts$/.test(path);
}

/** The texts of this repository that the rules are for. */
export async function readSources(root = ROOT): Promise<SourceText[]> {
  const sources: SourceText[] = [];
  for await (const path of new Bun.Glob(PATTERN).scan({ cwd: root })) {
    if (FOREIGN.test(path)) continue;
    sources.push({ path, text: await Bun.file(join(root, path)).text() });
  }
  return sources.sort((a, b) => a.path.localeCompare(b.path));
}

if (import.meta.main) {
  const prefixes = process.argv.slice(2);
  const violations = checkTidy(await readSources()).filter(
    ({ path }) => prefixes.length === 0 || prefixes.some((prefix) => path.startsWith(prefix)),
  );
  for (const { path, line, rule, message } of violations) {
    process.stdout.write(`${path}:${line}: ${rule}: ${message}\n`);
  }
  process.stdout.write(`tidy: ${violations.length} violations\n`);
  process.exit(violations.length === 0 ? 0 : 1);
}
