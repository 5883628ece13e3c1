/** The feed as the page's head opened it, and what came before anybody listened. */
export interface EarlyFeed {
  readonly source: EventSource;
  /** Ends the keeping, and returns what was kept. */
  readonly take: () => readonly MessageEvent<string>[];
}

/** The events of the feed. */
export const FEED_EVENTS = ["snapshot", "change"] as const;

/** Where {@link openEarly} leaves the feed. */
declare global {
  interface Window {
    early?: EarlyFeed | undefined;
  }
}

/**
 * Asks for the feed while the page's code is still on its way, so that what it shows is there when it begins.
 * Blocks nothing.
 */
export function openEarly(): void {
  const source = new EventSource("/ui/feed");
  const kept: MessageEvent<string>[] = [];
  const keep = (event: MessageEvent<string>) => kept.push(event);
  for (const name of FEED_EVENTS) source.addEventListener(name, keep);
  window.early = {
    source,
    take: () => {
      for (const name of FEED_EVENTS) source.removeEventListener(name, keep);
      return kept;
    },
  };
}
