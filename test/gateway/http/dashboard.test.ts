import { describe, expect, test } from "bun:test";
import { SseReader } from "../../../src/base/sse.ts";
import {
  applySection,
  FEED_SECTIONS,
  type FeedChange,
  type FeedSection,
  type FeedState,
} from "../../../src/protocol/feed.ts";
import { errorOf, fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

/** All that a browser gets for the page, compressed. */
const PAGE_BYTES_MAX = 60_000;

/** Reads the feed as a page does. */
class Page {
  readonly #left = new AbortController();
  readonly #held = Object.fromEntries(
    FEED_SECTIONS.map((section) => [section, new Map()]),
  ) as unknown as Record<FeedSection, Map<string, unknown>>;
  readonly names: string[] = [];
  #pieces: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #reader = new SseReader();

  async open(gateway: TestGateway): Promise<Response> {
    const response = await fetch(`${gateway.url}/ui/feed`, { signal: this.#left.signal });
    this.#pieces = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    return response;
  }

  async until(isWanted: (state: FeedState) => boolean): Promise<FeedState> {
    for (;;) {
      const state = this.#held as unknown as FeedState;
      if (isWanted(state)) return state;
      const piece = await this.#pieces?.read();
      if (piece?.value === undefined) throw new Error("The feed ended");
      for (const { event, data } of this.#reader.push(new TextDecoder().decode(piece.value))) {
        this.names.push(event);
        const change = JSON.parse(data) as FeedChange;
        for (const section of FEED_SECTIONS) {
          applySection(this.#held[section], change[section] ?? {});
        }
      }
    }
  }

  close(): void {
    this.#left.abort();
  }
}

describe("the dashboard", () => {
  test("is a page whose files are all the gateway's own, small, and kept for good", async () => {
    const gateway = await gatewayOver([]);
    const response = await fetch(`${gateway.url}/ui`);
    expect(response.status).toBe(200);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(response.headers.get("cache-control")).toBe("no-cache");
    const page = await response.text();
    const inline = (element: string) =>
      [...page.matchAll(new RegExp(`<${element}[^>]*>(.*?)</${element}>`, "gs"))].map(
        ([, text = ""]) =>
          `'sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}'`,
      );
    expect(policy).toContain(`script-src 'self' ${inline("script").join(" ")};`);
    expect(policy).toContain(`style-src 'self' ${inline("style").join(" ")};`);
    const links = [...page.matchAll(/<[^>]+(?:src|href)="([^"]+)"/g)].map(([, link = ""]) => link);
    expect(links).toEqual(["data:,"]);
    // What a script loads later counts as well.
    const later = [...page.matchAll(/import\("(\/ui\/[^"]+)"\)/g)].map(([, file = ""]) => file);
    expect(later).toHaveLength(1);
    let bytes = 0;
    for (const file of ["/ui", ...later]) {
      const accepting = { headers: { "accept-encoding": "gzip" }, decompress: false };
      const asset = await fetch(gateway.url + file, accepting);
      expect(asset.headers.get("content-encoding")).toBe("gzip");
      const gzipped = new Uint8Array(await asset.arrayBuffer());
      bytes += gzipped.length;
      const plain = await fetch(gateway.url + file, { headers: { "accept-encoding": "identity" } });
      expect(plain.headers.get("content-encoding")).toBeNull();
      expect(await plain.text()).toBe(new TextDecoder().decode(Bun.gunzipSync(gzipped)));
      if (file !== "/ui") expect(asset.headers.get("cache-control")).toContain("immutable");
    }
    expect(bytes).toBeLessThan(PAGE_BYTES_MAX);
  });

  test("is not sent again to a browser that has it", async () => {
    const gateway = await gatewayOver([]);
    const tag = (await fetch(`${gateway.url}/ui`)).headers.get("etag") ?? "";
    const again = await fetch(`${gateway.url}/ui`, { headers: { "if-none-match": tag } });
    expect(again.status).toBe(304);
  });

  test("has no other files and takes no other methods", async () => {
    const gateway = await gatewayOver([]);
    const missing = await fetch(`${gateway.url}/ui/nothing.js`);
    expect(missing.status).toBe(404);
    expect((await errorOf(missing)).code).toBe("route_not_found");
    for (const path of ["/ui", "/ui/feed"]) {
      expect((await gateway.post(path, {})).status).toBe(405);
    }
  });
});

describe("the feed of a running gateway", () => {
  test("tells the fleet as it is and then what becomes of it", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" }).addModel("cold");
    const gateway = await gatewayOver([neuron]);
    await gateway.until((status) => status.state === "ok");
    const page = new Page();
    const response = await page.open(gateway);
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    const state = await page.until(({ models }) => models.size > 0);
    expect(page.names[0]).toBe("snapshot");
    expect(state.gateway.get("gateway")).toMatchObject({ state: "ok", in_flight: 0 });
    const device = state.neurons.get("a")?.devices[0];
    expect(device?.models.map(({ model }) => model)).toEqual(["m"]);
    expect(device?.models[0]?.bytes).toBeGreaterThan(0);
    expect(state.models.has("cold")).toBe(false);
    const { absent } = await page.until((later) => later.absent.size > 0);
    expect(absent.get("cold")).toMatchObject({ state: "absent", holders: 1, replicas: [] });
    await gateway.post("/admin/load", { model: "cold" });
    const loaded = await page.until(({ models }) => models.get("cold")?.state === "ready");
    expect(loaded.absent.has("cold")).toBe(false);
    expect(page.names).toContain("change");
    page.close();
  });

  test("lists a request while it runs, with where it went and why", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const held = Promise.withResolvers<Response>();
    neuron.answer = () => held.promise;
    const gateway = await gatewayOver([neuron]);
    const page = new Page();
    await page.open(gateway);
    await page.until(({ models }) => models.has("m"));
    const asked = gateway.chat("m");
    const { requests } = await page.until((state) => state.requests.size === 1);
    expect([...requests.values()][0]).toMatchObject({
      ...{ model: "m", endpoint: "chat", neuron: "a", reason: "only" },
      ...{ phase: "reading", stream: false },
    });
    held.resolve(Response.json({ choices: [] }));
    await asked;
    await page.until((state) => state.requests.size === 0);
    page.close();
  });

  test("holds the gateway's log and ends with the gateway", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const page = new Page();
    await page.open(gateway);
    const { events } = await page.until((state) => state.events.size > 0);
    expect([...events.values()].map(({ text }) => text)).toContain("Neuron is up");
    await gateway.stop();
    expect(page.until(() => false)).rejects.toThrow("The feed ended");
  });
});
