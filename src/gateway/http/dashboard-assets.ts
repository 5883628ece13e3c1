import { bundleDashboard, type DashboardBundle } from "../../dashboard/bundle.ts";

/** A file of the page, ready to be sent. */
export interface DashboardAsset {
  readonly contentType: string;
  readonly gzipped: Uint8Array<ArrayBuffer>;
}

/** The page's files. Those that it loads later have names with their contents' hash, so that they never change. */
export interface DashboardAssets {
  readonly page: DashboardAsset;
  /** Of the scripts and styles in the page, as a content security policy names them. */
  readonly hashes: { readonly scripts: readonly string[]; readonly styles: readonly string[] };
  /** Changes with the page. */
  readonly tag: string;
  readonly files: ReadonlyMap<string, DashboardAsset>;
}

/** Below which name the executable holds them; scripts/build.ts puts them there. */
const EMBEDDED_NAME = "dashboard-bundle.gz";

let assets: Promise<DashboardAssets> | undefined;

/** The page's files: those inside the executable, in a source checkout those bundled at the first call. */
export function getDashboardAssets(): Promise<DashboardAssets> {
  assets ??= readBundle().then(toAssets);
  return assets;
}

async function readBundle(): Promise<DashboardBundle> {
  const embedded = Bun.embeddedFiles.find((file) =>
    (file as Blob & { readonly name?: string }).name?.endsWith(EMBEDDED_NAME),
  );
  if (embedded === undefined) return await bundleDashboard();
  const text = new TextDecoder().decode(Bun.gunzipSync(await embedded.bytes()));
  return JSON.parse(text) as DashboardBundle;
}

/** One answer holds all that the first screen needs: a file of its own costs a browser tens of milliseconds. */
function toAssets(bundle: DashboardBundle): DashboardAssets {
  const head = keepInside(bundle.head, "script");
  const script = keepInside(bundle.script, "script");
  const style = keepInside(bundle.style, "style");
  const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>cortex</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<script>${head}</script>
<style>${style}</style></head>
<body><noscript>This page needs JavaScript; cortex status shows the same in a terminal.</noscript>
<div id="app"></div>
<script type="module">${script}</script></body>
</html>
`;
  const files = Object.entries(bundle.chunks).map(([name, text]): [string, DashboardAsset] => [
    name,
    toAsset(text, "text/javascript; charset=utf-8"),
  ]);
  return {
    page: toAsset(page, "text/html; charset=utf-8"),
    hashes: { scripts: [head, script].map(digest), styles: [digest(style)] },
    tag: `"${Bun.hash.xxHash64(page).toString(16).padStart(16, "0")}"`,
    files: new Map(files),
  };
}

/** No text of a script may end the element that it stands in. */
function keepInside(text: string, element: string): string {
  return text.replaceAll(`</${element}`, `<\\/${element}`);
}

function digest(text: string): string {
  return `sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}`;
}

function toAsset(text: string, contentType: string): DashboardAsset {
  return { contentType, gzipped: Bun.gzipSync(new TextEncoder().encode(text), { level: 9 }) };
}
