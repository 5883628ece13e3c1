import { describe, expect, test } from "bun:test";
import {
  checkGlibc,
  compareVersions,
  readGlibcNeeds,
} from "../../../scripts/package/glibc-floor.ts";

describe("the glibc floor", () => {
  test("is read from a program's own symbol versions", async () => {
    const needs = readGlibcNeeds(await Bun.file(process.execPath).bytes());
    expect(needs).toContain("2.2.5");
    expect(needs).toEqual(needs.toSorted(compareVersions));
  });

  test("compares versions by their numbers", () => {
    expect(compareVersions("2.9", "2.34")).toBeLessThan(0);
    expect(compareVersions("2.34", "2.34")).toBe(0);
    expect(compareVersions("2.34.1", "2.34")).toBeGreaterThan(0);
  });

  test("names the file, what it needs, the limit and what to do", async () => {
    const check = checkGlibc([process.execPath], "2.3");
    await expect(check).rejects.toThrow(/needs glibc 2\.\d+: the limit is 2\.3.*Containerfile/);
  });

  test("lets nothing pass that it cannot read", () => {
    const text = new TextEncoder().encode(`#!/bin/sh\n${"# no program\n".repeat(10)}`);
    expect(() => readGlibcNeeds(text)).toThrow("Not a 64-bit little-endian ELF file");
  });
});
