import { afterEach, expect, test } from "bun:test";
import { listHubFiles } from "../../src/hub/hub-api.ts";
import { askHub, type HubConnection } from "../../src/hub/hub-request.ts";
import { HurriedClock } from "./hub-fixture.ts";

const servers: Bun.Server<unknown>[] = [];
const seen: { readonly url: string; readonly token: string | null }[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
  seen.length = 0;
});

/** A server that notes who asked with which token. */
function serve(answer: (path: string) => Response): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      seen.push({ url: request.url, token: request.headers.get("authorization") });
      return answer(new URL(request.url).pathname);
    },
  });
  servers.push(server);
  return server.url.origin;
}

const connect = (endpoint: string): HubConnection => ({
  settings: { endpoint, token: "hf_secret" },
  clock: new HurriedClock(),
});

const signal = new AbortController().signal;
const main = { repository: "o/n", revision: "main" };
const redirect = (location: string) => new Response(null, { status: 307, headers: { location } });

test("the token stays with the hub: it follows to another path, not to another port", async () => {
  const other = serve(() => new Response("bytes"));
  const hub = serve((path) => redirect(path === "/old" ? "/new" : `${other}/file`));
  const answer = await askHub(connect(hub), { url: `${hub}/old`, signal });
  expect(await answer.read()).toEqual(new TextEncoder().encode("bytes"));
  answer.close();
  expect(seen).toEqual([
    { url: `${hub}/old`, token: "Bearer hf_secret" },
    { url: `${hub}/new`, token: "Bearer hf_secret" },
    { url: `${other}/file`, token: null },
  ]);
});

test("a redirect that never ends and one to a file are refused", async () => {
  const loop = serve(() => redirect("/again"));
  const ask = (url: string) => askHub(connect(loop), { url, signal });
  await expect(ask(`${loop}/x`)).rejects.toThrow("redirects more than 5 times");
  expect(seen).toHaveLength(6);
  const file = serve(() => redirect("file:///etc/passwd"));
  await expect(ask(`${file}/x`)).rejects.toThrow("redirects to file:, which is not followed");
});

test("a list that goes on at another host is refused, and its host is never asked", async () => {
  const other = serve(() => Response.json([]));
  const hub = serve((path) =>
    path.includes("/tree/")
      ? Response.json([], { headers: { link: `<${other}/more>; rel="next"` } })
      : Response.json({ sha: "a".repeat(40) }),
  );
  await expect(listHubFiles(connect(hub), main, { signal })).rejects.toThrow("another address");
  expect(seen.filter(({ url }) => url.startsWith(other))).toEqual([]);
});

test("answers that no hub gives are refused in words", async () => {
  const page = serve(() => new Response("<html>"));
  await expect(listHubFiles(connect(page), main, { signal })).rejects.toThrow("is not JSON");
  const noCommit = serve(() => Response.json({ sha: "../../x" }));
  await expect(listHubFiles(connect(noCommit), main, { signal })).rejects.toThrow("which commit");
  const nobody = connect("http://127.0.0.1:9");
  await expect(listHubFiles(nobody, main, { signal })).rejects.toThrow("Cannot reach 127.0.0.1:9");
});

test("names that would leave their folder and hashes that are none are left out", async () => {
  const entry = (path: string, oid: string) => ({
    ...{ type: "file", path, size: 5, oid: "1".repeat(40) },
    lfs: { oid, size: 5 },
  });
  const hash = "b".repeat(64);
  const hub = serve((path) =>
    path.includes("/tree/")
      ? Response.json([
          entry("good.gguf", hash),
          entry("../up.gguf", hash),
          entry("/root.gguf", hash),
          entry("a/./b.gguf", hash),
          entry("bad-hash.gguf", "../../x"),
          { type: "file", path: "no-size.gguf", oid: "1".repeat(40) },
          "nonsense",
        ])
      : Response.json({ sha: "a".repeat(40) }),
  );
  const { files } = await listHubFiles(connect(hub), main, { signal });
  expect(files.map(({ path }) => path)).toEqual(["good.gguf"]);
});
