import { describe, expect, test } from "bun:test";
import {
  countThings,
  formatAge,
  formatBytes,
  formatNumber,
  formatOr,
  formatSeconds,
  formatTime,
} from "../../src/dashboard/format.ts";

describe("the dashboard's figures", () => {
  test("are bytes in the largest unit that fits", () => {
    const cases: [number, string][] = [
      [0, "0 B"],
      [7.24 * 1024 ** 2, "7.2 MiB"],
      [24 * 1024 ** 3, "24 GiB"],
      [-5, "0 B"],
    ];
    for (const [bytes, text] of cases) expect(formatBytes(bytes)).toBe(text);
  });

  test("are durations as people say them", () => {
    const cases: [number, string][] = [
      [0.085, "85 ms"],
      [2.41, "2.4 s"],
      [180, "3 min"],
      [18_000, "5 h"],
      [200_000, "2 d"],
    ];
    for (const [seconds, text] of cases) expect(formatSeconds(seconds)).toBe(text);
  });

  test("have no digits that nobody reads, and a dash where nothing was measured", () => {
    expect([0, 0.123, 3.44, 57.3, 1234].map(formatNumber)).toEqual([
      ...["0", "0.12", "3.4", "57", "1,234"],
    ]);
    expect(formatOr(null, formatNumber)).toBe("–");
    expect(formatOr(0, formatNumber)).toBe("0");
  });

  test("are ages in whole seconds, and times of day with two digits each", () => {
    expect([0.4, 1.9, 61, 7_300].map(formatAge)).toEqual(["0 s", "1 s", "61 s", "2 h"]);
    expect(formatTime(new Date(2026, 0, 2, 7, 5, 9).getTime())).toBe("07:05:09");
  });

  test("count things by their name", () => {
    expect([0, 1, 20_200].map((count) => countThings(count, "model"))).toEqual([
      ...["0 models", "1 model", "20,200 models"],
    ]);
  });
});
