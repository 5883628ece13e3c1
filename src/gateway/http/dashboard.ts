import { Elysia } from "elysia";
import { CortexError } from "../../base/errors.ts";
import { pageHeaders } from "../../base/page-headers.ts";
import { SSE_HEADERS } from "../../base/sse.ts";
import { type DashboardAsset, getDashboardAssets } from "./dashboard-assets.ts";
import { assertOwnMachine, type Caller } from "./own-machine.ts";

export interface DashboardRoutesOptions {
  readonly callerOf: (request: Request) => Caller | undefined;
}

/** Where the page's events come from. */
export const FEED_PATH = "/ui/feed";

const SECURITY_HEADERS = pageHeaders();

/** The page is asked for anew each time, which costs a 304; what it names never changes. */
const PAGE_CACHING = "no-cache";
const FILE_HEADERS = {
  ...SECURITY_HEADERS,
  "cache-control": "public, max-age=31536000, immutable",
};

/** The header lines of the feed's answer. */
export const FEED_HEADERS = Object.entries({ ...SECURITY_HEADERS, ...SSE_HEADERS })
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join("");

/** The dashboard's page and its files, for the machine itself alone. */
export function dashboardRoutes({ callerOf }: DashboardRoutesOptions) {
  return new Elysia({ name: "dashboard", prefix: "/ui" }).guard(
    { beforeHandle: ({ request }) => assertMayLook(callerOf(request)) },
    (guarded) =>
      guarded
        .get("/", ({ request }) => answerPage(request))
        .get("/:file", async ({ request, params }) => {
          const { files } = await getDashboardAssets();
          const asset = files.get(params.file);
          if (asset === undefined) {
            throw new CortexError("route_not_found", `The dashboard has no file '${params.file}'`);
          }
          return answerAsset(request, asset, FILE_HEADERS);
        }),
  );
}

/**
 * Lets only the machine itself pass, as for the routes that change state: the page is made for those, and shows the
 * log and who asks for what.
 */
export function assertMayLook(caller: Caller | undefined): void {
  assertOwnMachine(caller, "The dashboard answers");
}

async function answerPage(request: Request): Promise<Response> {
  const { page, hashes, tag } = await getDashboardAssets();
  const headers = { ...pageHeaders(hashes), "cache-control": PAGE_CACHING, etag: tag };
  if (request.headers.get("if-none-match") === tag) {
    return new Response(null, { status: 304, headers });
  }
  return answerAsset(request, page, headers);
}

function answerAsset(
  request: Request,
  { contentType, gzipped }: DashboardAsset,
  more: Readonly<Record<string, string>>,
): Response {
  const headers = { ...more, "content-type": contentType, vary: "accept-encoding" };
  const takesGzip = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
  if (!takesGzip) return new Response(Bun.gunzipSync(gzipped), { headers });
  return new Response(gzipped, { headers: { ...headers, "content-encoding": "gzip" } });
}
