import { describe, expect, test } from "bun:test";
import { type CommitFacts, formatStamp } from "../../../scripts/package/version-stamp.ts";

const COMMIT: CommitFacts = {
  hash: "1a2b3c4d5e6f",
  epochSeconds: Date.UTC(2026, 10, 24) / 1000,
  tag: undefined,
  commitCount: 250,
  isDirty: false,
};

function versionOf(facts: Partial<CommitFacts>): string {
  return formatStamp({ ...COMMIT, ...facts }, "0.1.0").version;
}

describe("the version of a package", () => {
  test("is the release's at its tag", () => {
    expect(versionOf({ tag: { name: "v0.1.0", commitsSince: 0 } })).toBe("0.1.0");
  });

  test("sorts behind the release after its tag", () => {
    const tag = { name: "v0.1.0", commitsSince: 3 };
    expect(versionOf({ tag })).toBe("0.1.0^3.20261124.git1a2b3c4d");
  });

  test("sorts before the release without its tag, whatever the earlier ones are", () => {
    const before = "0.1.0~250.20261124.git1a2b3c4d";
    expect(versionOf({})).toBe(before);
    expect(versionOf({ tag: { name: "v0.0.9", commitsSince: 40 } })).toBe(before);
  });

  test("says that something was not committed, at a tag as well", () => {
    expect(versionOf({ isDirty: true })).toBe("0.1.0~250.20261124.git1a2b3c4d.dirty");
    const tag = { name: "v0.1.0", commitsSince: 0 };
    expect(versionOf({ tag, isDirty: true })).toBe("0.1.0^0.20261124.git1a2b3c4d.dirty");
  });
});
