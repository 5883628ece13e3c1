import { expect, test } from "bun:test";
import { cacheFolder } from "../../src/base/cache-folder.ts";

test("the cache is where the environment says", () => {
  expect(cacheFolder({ CORTEX_CACHE_DIR: "/a" })).toBe("/a");
  expect(cacheFolder({ XDG_CACHE_HOME: "/b" })).toBe("/b/cortex");
});
