import { expect, test } from "bun:test";
import type { Static } from "@sinclair/typebox";
import { FEED_SECTIONS, type FeedChange } from "../../src/protocol/feed.ts";
import { FeedChangeSchema } from "../../src/protocol/feed-schemas.ts";

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;
type Told = Frozen<FeedChange>;
type Described = Frozen<Static<typeof FeedChangeSchema>>;

/** Do not compile where the two differ. */
const describeTold = (told: Told): Described => told;
const tellDescribed = (described: Described): Told => described;

test("the feed's schema is what the feed is typed as", () => {
  expect(Object.keys(FeedChangeSchema.properties)).toEqual([...FEED_SECTIONS]);
  expect(tellDescribed(describeTold({}))).toEqual({});
});
