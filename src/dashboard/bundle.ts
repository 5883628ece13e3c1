import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The page's code as a browser takes it. */
export interface DashboardBundle {
  readonly script: string;
  readonly style: string;
}

/**
 * Bundles the browser's code with all that it imports. scripts/build.ts embeds the result in the executable; in a
 * source checkout the gateway does this when the page is asked for first.
 */
export async function bundleDashboard(): Promise<DashboardBundle> {
  const entry = fileURLToPath(new URL("./entry.tsx", import.meta.url));
  const style = fileURLToPath(new URL("./style.css", import.meta.url));
  const result = await Bun.build({
    entrypoints: [entry, style],
    root: dirname(entry),
    target: "browser",
    format: "esm",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    throw: true,
  });
  const texts = { script: "", style: "" };
  for (const output of result.outputs) {
    if (output.path.endsWith(".js")) texts.script += await output.text();
    else if (output.path.endsWith(".css")) texts.style += await output.text();
  }
  return texts;
}
