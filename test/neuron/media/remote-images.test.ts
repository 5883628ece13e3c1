import { afterEach, describe, expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { isPublicAddress } from "../../../src/neuron/media/public-address.ts";
import {
  fetchImages,
  hasRemoteImages,
  type RemoteImageSources,
} from "../../../src/neuron/media/remote-images.ts";

const BYTES = new Uint8Array([1, 2, 3]);

let server: ReturnType<typeof Bun.serve> | undefined;

afterEach(() => server?.stop(true));

/** A host on this machine that the test allows, and the requests that reached it. */
function host(answer: (request: Request) => Response) {
  const seen: { host: string | null; authorization: string | null; url: string }[] = [];
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const { headers, url } = request;
      seen.push({ host: headers.get("host"), authorization: headers.get("authorization"), url });
      return answer(request);
    },
  });
  const asked: string[] = [];
  const sources: RemoteImageSources = {
    resolve: async (name) => {
      asked.push(name);
      return ["127.0.0.1"];
    },
    fetch: (url, init) => fetch(url, init),
    isAllowed: () => true,
  };
  return { seen, asked, sources, url: `http://pictures.test:${server.port}/a.png?x=1#top` };
}

function body(...urls: readonly string[]) {
  const content = urls.map((url) => ({ type: "image_url", image_url: { url, detail: "low" } }));
  return { model: "m", messages: [{ role: "user", content }] };
}

async function refusal(run: Promise<unknown>): Promise<CortexError> {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof CortexError) return error;
  throw new Error(`It was not refused: ${error}`);
}

const never = new AbortController().signal;

describe("a remote image", () => {
  test("comes as a data: URL, from the address that was checked, under its own name", async () => {
    const { seen, asked, sources, url } = host(
      () => new Response(BYTES, { headers: { "content-type": "image/png; x=y" } }),
    );
    expect(hasRemoteImages(body(url))).toBe(true);
    const fetched = await fetchImages(body(url), { signal: never, sources });
    expect(JSON.stringify(fetched)).toContain(`data:image/png;base64,${BYTES.toBase64()}`);
    expect(asked).toEqual(["pictures.test"]);
    expect(seen[0]?.host).toStartWith("pictures.test:");
    expect(seen[0]?.authorization).toBeNull();
    expect(new URL(seen[0]?.url ?? "").pathname).toBe("/a.png");
  });

  test("is not fetched when any of its host's addresses is not public", async () => {
    const { seen, sources, url } = host(() => new Response(BYTES));
    const mixed: RemoteImageSources = {
      ...sources,
      resolve: async () => ["93.184.216.34", "127.0.0.1"],
      isAllowed: isPublicAddress,
    };
    const error = await refusal(fetchImages(body(url), { signal: never, sources: mixed }));
    expect(error.message).toContain("public network");
    expect(error.param).toBe("messages[0].content[0].image_url.url");
    expect(seen).toHaveLength(0);
  });

  for (const target of ["http://127.0.0.1:1/x", "http://[::1]:1/x", "http://169.254.169.254/x"]) {
    test(`at ${target} is refused without a look-up`, async () => {
      const error = await refusal(fetchImages(body(target), { signal: never }));
      expect(error.message).toContain("public network");
    });
  }

  test("that redirects is refused and not followed", async () => {
    const { seen, sources, url } = host(() => Response.redirect("http://127.0.0.1:1/secret"));
    const error = await refusal(fetchImages(body(url), { signal: never, sources }));
    expect(error.message).toContain("302");
    expect(seen).toHaveLength(1);
  });

  const answers: readonly (readonly [string, () => Response, string])[] = [
    ["that is no image", () => new Response("<html>"), "must be an image"],
    ["that is not there", () => new Response("no", { status: 404 }), "404"],
    [
      "that is too large",
      () =>
        new Response(new Uint8Array(21 * 1024 * 1024), {
          headers: { "content-type": "image/png" },
        }),
      "20971520",
    ],
  ];
  for (const [what, answer, word] of answers) {
    test(`${what} is refused`, async () => {
      const { sources, url } = host(answer);
      const error = await refusal(fetchImages(body(url), { signal: never, sources }));
      expect(error.code).toBe("invalid_request");
      expect(error.message).toContain(word);
    });
  }

  test("with credentials in its address is refused", async () => {
    const error = await refusal(
      fetchImages(body("http://me:secret@example.com/x"), { signal: never }),
    );
    expect(error.message).toContain("credentials");
  });

  test("among too many is refused", async () => {
    const { sources, url } = host(
      () => new Response(BYTES, { headers: { "content-type": "image/png" } }),
    );
    const nine = body(...Array<string>(9).fill(url));
    expect((await refusal(fetchImages(nine, { signal: never, sources }))).message).toContain("8");
  });

  test("is given up when the client leaves, wherever it is", async () => {
    const leave = new AbortController();
    const { sources, url } = host(() => new Response(BYTES));
    const stuck: RemoteImageSources = {
      ...sources,
      resolve: () => {
        leave.abort();
        return new Promise(() => undefined);
      },
    };
    await refusal(fetchImages(body(url), { signal: leave.signal, sources: stuck }));
  });
});

test("only public addresses are public", () => {
  const isPrivate = [
    ...["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1"],
    ...["192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1"],
    ...["fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1"],
    ...["2002:7f00:1::", "2001::1", "2001:db8::1", "localhost", ""],
  ];
  expect(isPrivate.filter(isPublicAddress)).toEqual([]);
  const isPublic = ["8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1", "2a00:1450::1"];
  expect(isPublic.filter((address) => !isPublicAddress(address))).toEqual([]);
});
