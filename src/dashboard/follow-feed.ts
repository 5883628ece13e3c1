import type { FeedChange } from "../protocol/feed.ts";
import { now, type Store } from "./store.ts";

/** A browser gives up for good on an answer that is an error, such as that of a gateway that has just started. */
const RETRY_MS = 3_000;
const SECOND_MS = 1_000;

/** Keeps the store up to date for as long as the page is open. */
export function followFeed(store: Store): void {
  setInterval(() => {
    now.value = Date.now();
  }, SECOND_MS);
  connect(store);
}

function connect(store: Store): void {
  const source = new EventSource("/ui/feed");
  const take = (isSnapshot: boolean) => (event: MessageEvent<string>) => {
    store.apply(JSON.parse(event.data) as FeedChange, { isSnapshot });
    if (store.connection.value === "connecting") markReady();
    store.connection.value = "live";
  };
  source.addEventListener("snapshot", take(true));
  source.addEventListener("change", take(false));
  source.addEventListener("error", () => {
    store.connection.value = "lost";
    if (source.readyState === EventSource.CLOSED) setTimeout(() => connect(store), RETRY_MS);
  });
}

/** The first snapshot is on the screen: what a person waits for, and a benchmark measures. */
function markReady(): void {
  requestAnimationFrame(() => performance.mark("ready"));
}
