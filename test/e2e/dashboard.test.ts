import { afterAll, beforeAll, expect, test } from "bun:test";
import { SseReader } from "../../src/base/sse.ts";
import type { FeedChange } from "../../src/protocol/feed.ts";
import { Cluster, chat } from "./processes.ts";

const MODEL = "tiny-a";
/** Well below the half minute that a stop lets requests go on. */
const STOP_MS_MAX = 10_000;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create();
  await cluster.addNeuron("one");
  await cluster.startGateway();
}, 60_000);

afterAll(() => cluster.stop());

/** The feed's events until one is as wanted. */
async function readFeed(
  response: Response,
  isWanted: (change: FeedChange, event: string) => boolean,
): Promise<void> {
  const reader = new SseReader();
  const decoder = new TextDecoder();
  if (response.body === null) throw new Error("The feed has no body");
  for await (const piece of response.body) {
    for (const { event, data } of reader.push(decoder.decode(piece, { stream: true }))) {
      if (isWanted(JSON.parse(data) as FeedChange, event)) return;
    }
  }
  throw new Error("The feed ended");
}

test("the executable holds the page and everything that it loads", async () => {
  const page = await (await fetch(`${cluster.url}/ui`)).text();
  expect(page.length).toBeGreaterThan(50_000);
  const files = [...page.matchAll(/import\("(\/ui\/[^"]+)"\)/g)].map((match) => match[1] ?? "");
  expect(files).toHaveLength(1);
  for (const file of files) {
    const response = await fetch(cluster.url + file);
    expect(response.status).toBe(200);
    expect((await response.text()).length).toBeGreaterThan(1_000);
  }
});

test("an open page sees a real model loaded and asked, and does not hold up the gateway's end", async () => {
  const feed = () => fetch(`${cluster.url}/ui/feed`);
  await readFeed(
    await feed(),
    ({ neurons }, event) => event === "snapshot" && neurons?.set?.[0]?.[0] === "one",
  );
  await readFeed(await feed(), ({ absent }) => new Map(absent?.set).get(MODEL)?.holders === 1);
  expect((await cluster.post("/v1/chat/completions", chat(MODEL))).status).toBe(200);
  await readFeed(await feed(), ({ neurons, models }) => {
    const bytes = neurons?.set?.[0]?.[1].devices[0]?.models[0]?.bytes ?? 0;
    return new Map(models?.set).get(MODEL)?.state === "ready" && bytes > 0;
  });
  // A reading every five seconds: the request is in the first or second that comes now.
  await readFeed(await feed(), ({ history }) =>
    (history?.set ?? []).some(([, { requests_rate }]) => requests_rate > 0),
  );
  const open = await feed();
  const startMs = performance.now();
  expect(await cluster.gateway.end("SIGTERM")).toBe(0);
  expect(performance.now() - startMs).toBeLessThan(STOP_MS_MAX);
  await open.body?.cancel();
}, 60_000);
