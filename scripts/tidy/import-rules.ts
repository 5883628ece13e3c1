import type { ImportSite, ParsedFile, Violation } from "./source-file.ts";

/** Every part of src with its height; an import goes downward, or stays inside its part. */
const HEIGHTS: Readonly<Record<string, number>> = {
  main: 5,
  cli: 4,
  // Drives the roles' own logic.
  simulation: 3.5,
  gateway: 3,
  neuron: 3,
  translate: 2,
  // The browser's code: takes types of what it is told.
  dashboard: 2,
  // Reads its settings from a checked configuration.
  telemetry: 2,
  // What both roles say of the APIs that they serve.
  "api-docs": 2.5,
  // The last lines of a role's log, in the protocol's words.
  "kept-log": 2,
  hub: 1,
  protocol: 1,
  config: 1,
  metrics: 1,
  lifecycle: 1,
  base: 0,
};

interface Home {
  readonly name: string;
  readonly isHome: (path: string) => boolean;
  readonly where: string;
}

/** Which files may import a package. Others get what they need from there. */
const HOMES: readonly Home[] = [
  { name: "elysia", where: "*/http", isHome: (path) => /^src\/\w+\/http\//.test(path) },
  {
    name: "swagger-ui-dist",
    where: "api-docs",
    isHome: (path) => path.startsWith("src/api-docs/"),
  },
  ...["preact", "@preact/signals", "uplot"].map((name) => ({
    name,
    where: "dashboard",
    isHome: (path: string) => path.startsWith("src/dashboard/"),
  })),
  { name: "prom-client", where: "metrics", isHome: (path) => path.startsWith("src/metrics/") },
  { name: "citty", where: "cli and main", isHome: (path) => /^src\/(cli\/|main\.ts)/.test(path) },
  { name: "@iarna/toml", where: "config", isHome: (path) => path.startsWith("src/config/") },
  { name: "toml-eslint-parser", where: "config", isHome: (path) => path.startsWith("src/config/") },
  { name: "consola", where: "base/log.ts", isHome: (path) => path === "src/base/log.ts" },
  { name: "bun:ffi", where: "cuda/index.ts", isHome: (path) => path === "cuda/index.ts" },
  {
    name: "bun-ffi-cuda-bindings-local",
    where: "neuron/native",
    isHome: (path) => path.startsWith("src/neuron/native/"),
  },
];

/** The types of the native surface, which all of the neuron may name. */
const ENGINE_TYPES = "bun-ffi-cuda-bindings-local/engine";

/** Rules "direction" and "home": who may import whom, and which package lives where. */
export function checkImports(file: ParsedFile): Violation[] {
  if (!/^(src|cuda)\//.test(file.path)) return [];
  return file.imports.flatMap((site) => [
    ...checkDirection(file.path, site),
    ...checkHome(file.path, site),
  ]);
}

/** The examples that the executable carries as text. */
const EXAMPLE = /^config\/\w+\.example\.toml$/;

function checkDirection(path: string, site: ImportSite): Violation[] {
  const from = partOf(path);
  if (from === undefined || site.target === undefined) return [];
  if (from === "config" && EXAMPLE.test(site.target)) return [];
  const to = partOf(site.target);
  const complain = (message: string) => [{ rule: "direction", path, line: site.line, message }];
  if (to === undefined) return complain(`${site.specifier} lies outside src`);
  const [own, other] = [HEIGHTS[from], HEIGHTS[to]];
  if (own === undefined || other === undefined) {
    return complain(`${own === undefined ? from : to} has no place in the order of parts`);
  }
  if (from === to || own > other) return [];
  const isRoles = own === 3 && other === 3;
  return complain(
    isRoles
      ? "gateway and neuron never import each other; what they share is in protocol"
      : `${from} may not import ${to}: imports go downward`,
  );
}

/** `src/gateway/start.ts` is part of gateway, `src/main.ts` is main. */
function partOf(path: string): string | undefined {
  return /^src\/([^/.]+)/.exec(path)?.[1];
}

function checkHome(path: string, site: ImportSite): Violation[] {
  const home = HOMES.find(
    ({ name }) => site.specifier === name || site.specifier.startsWith(`${name}/`),
  );
  if (home === undefined || home.isHome(path) || path.startsWith("cuda/")) return [];
  if (site.specifier === ENGINE_TYPES && path.startsWith("src/neuron/")) return [];
  const message = `${home.name} is imported in ${home.where} only`;
  return [{ rule: "home", path, line: site.line, message }];
}

/** Rule "cycle": following static imports never leads back. One violation for each cycle. */
export function checkCycles(files: readonly ParsedFile[]): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const trail: string[] = [];
  const found: Violation[] = [];
  const visit = (file: ParsedFile): void => {
    trail.push(file.path);
    for (const site of file.imports) {
      const next = site.isDynamic ? undefined : byPath.get(site.target ?? "");
      if (next === undefined || done.has(next.path)) continue;
      const start = trail.indexOf(next.path);
      if (start < 0) {
        visit(next);
        continue;
      }
      const loop = [...trail.slice(start), next.path].join(" -> ");
      found.push({ rule: "cycle", path: file.path, line: site.line, message: loop });
    }
    trail.pop();
    done.add(file.path);
  };
  for (const file of files) if (!done.has(file.path)) visit(file);
  return found;
}

/** Rule "dead": every file of src is reached from an entry point, and every script is one or is reached from one. */
export function checkDeadFiles(files: readonly ParsedFile[]): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path)) return;
    reached.add(path);
    for (const site of file.imports) if (site.target !== undefined) visit(site.target);
  };
  for (const file of files) if (isEntryPoint(file)) visit(file.path);
  // A test keeps its own support alive, but no file of src: what only tests use is dead code.
  for (const file of files) if (/^test\/.*\.test\.ts$/.test(file.path)) visitTest(file);
  return files
    .filter((file) => !reached.has(file.path) && !file.path.endsWith(".test.ts"))
    .filter((file) => !isStartedByName(file, files))
    .map((file) => ({
      rule: "dead",
      path: file.path,
      line: 1,
      message: "no entry point leads to this file",
    }));

  function visitTest(file: ParsedFile): void {
    for (const site of file.imports) {
      const target = site.target ?? "";
      if (target.startsWith("src/") || reached.has(target)) continue;
      const next = byPath.get(target);
      if (next === undefined) continue;
      reached.add(target);
      visitTest(next);
    }
  }
}

/** Whether a script or a test starts this file as a process of its own. */
function isStartedByName(file: ParsedFile, files: readonly ParsedFile[]): boolean {
  if (file.path.startsWith("src/")) return false;
  const name = file.path.split("/").at(-1) ?? "";
  return files.some((other) => other !== file && other.text.includes(name));
}

function isEntryPoint(file: ParsedFile): boolean {
  if (file.path === "src/main.ts" || file.path === "cuda/index.ts") return true;
  // Benchmarks are started by hand.
  if (file.path.startsWith("test/bench/")) return true;
  return file.path.startsWith("src/") ? false : file.text.includes("import.meta.main");
}
