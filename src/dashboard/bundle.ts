import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The page's code as a browser takes it. */
export interface DashboardBundle {
  /** What the page's head runs at once, before anything else is there. */
  readonly head: string;
  readonly script: string;
  readonly style: string;
  /** What the script loads when it needs it, by the names that it has for them. */
  readonly chunks: Readonly<Record<string, string>>;
}

const HEAD = fileURLToPath(new URL("./head.ts", import.meta.url));
const ENTRY = fileURLToPath(new URL("./entry.tsx", import.meta.url));
const STYLE = fileURLToPath(new URL("./style.css", import.meta.url));

/**
 * Bundles the browser's code with all that it imports. scripts/build.ts embeds the result in the executable; in a
 * source checkout the gateway does this when the page is asked for first.
 */
export async function bundleDashboard(): Promise<DashboardBundle> {
  const [head, page] = await Promise.all([
    bundle([HEAD], { format: "iife" }),
    bundle([ENTRY, STYLE], { format: "esm", splitting: true, publicPath: "/ui/" }),
  ]);
  const chunks = page.filter(({ kind }) => kind === "chunk");
  const files = page.filter(({ kind }) => kind !== "chunk");
  return {
    head: await join(head, ".js"),
    script: await join(files, ".js"),
    style: await join(files, ".css"),
    chunks: Object.fromEntries(
      await Promise.all(
        chunks.map(async (chunk) => [basename(chunk.path), await chunk.text()] as const),
      ),
    ),
  };
}

async function bundle(
  paths: readonly string[],
  options: Pick<Bun.BuildConfig, "format" | "splitting" | "publicPath">,
): Promise<readonly Bun.BuildArtifact[]> {
  const { outputs } = await Bun.build({
    entrypoints: [...paths],
    root: dirname(ENTRY),
    target: "browser",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    throw: true,
    ...options,
  });
  return outputs;
}

async function join(files: readonly Bun.BuildArtifact[], end: string): Promise<string> {
  const wanted = files.filter(({ path }) => path.endsWith(end));
  return (await Promise.all(wanted.map((file) => file.text()))).join("");
}
