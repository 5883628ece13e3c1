import { expect, test } from "bun:test";
import packageJson from "../../package.json";
import { VERSION } from "../../src/base/version.ts";

test("the version is package.json's", () => {
  expect(VERSION).toBe(packageJson.version);
});
