import { bundleDashboard, type DashboardBundle } from "../../dashboard/bundle.ts";

/** A file of the page, ready to be sent. */
export interface DashboardAsset {
  readonly contentType: string;
  readonly gzipped: Uint8Array<ArrayBuffer>;
}

/** The page's files. Script and style have names with their contents' hash, so that they never change. */
export interface DashboardAssets {
  readonly page: string;
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

function toAssets({ script, style }: DashboardBundle): DashboardAssets {
  const scriptName = `${hash(script)}.js`;
  const styleName = `${hash(style)}.css`;
  const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>cortex</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/ui/${styleName}">
<script type="module" src="/ui/${scriptName}"></script></head>
<body><noscript>This page needs JavaScript; cortex status shows the same in a terminal.</noscript>
<div id="app"></div></body>
</html>
`;
  const files = new Map([
    [scriptName, toAsset(script, "text/javascript; charset=utf-8")],
    [styleName, toAsset(style, "text/css; charset=utf-8")],
  ]);
  return { page, tag: `"${hash(page)}"`, files };
}

function toAsset(text: string, contentType: string): DashboardAsset {
  return { contentType, gzipped: Bun.gzipSync(new TextEncoder().encode(text), { level: 9 }) };
}

function hash(text: string): string {
  return Bun.hash.xxHash64(text).toString(16).padStart(16, "0");
}
