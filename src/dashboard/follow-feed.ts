import type { FeedChange } from "../protocol/feed.ts";
import { FEED_EVENTS } from "./early-feed.ts";
import { now, type Store } from "./store.ts";

/** A browser gives up for good on an answer that is an error, such as that of a gateway that has just started. */
const RETRY_MS = 3_000;
const SECOND_MS = 1_000;

interface FollowOptions {
  /** The first snapshot is in the store, or there was none to be had. */
  readonly onFirst: () => void;
}

/** Keeps the store up to date for as long as the page is open. */
export function followFeed(store: Store, options: FollowOptions): void {
  setInterval(() => {
    now.value = Date.now();
  }, SECOND_MS);
  let isFirst = true;
  connect(store, (state) => {
    store.connection.value = state;
    if (isFirst) options.onFirst();
    isFirst = false;
  });
}

function connect(store: Store, tell: (state: "live" | "lost") => void): void {
  const { early } = window;
  window.early = undefined;
  const source = early?.source ?? new EventSource("/ui/feed");
  const take = ({ type, data }: MessageEvent<string>) => {
    store.apply(JSON.parse(data) as FeedChange, { isSnapshot: type === "snapshot" });
    tell("live");
  };
  for (const name of FEED_EVENTS) source.addEventListener(name, take);
  const fail = () => {
    tell("lost");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => connect(store, tell), RETRY_MS);
  };
  source.addEventListener("error", fail);
  for (const event of early?.take() ?? []) take(event);
  // It was refused before anybody listened.
  if (source.readyState === EventSource.CLOSED) fail();
}
