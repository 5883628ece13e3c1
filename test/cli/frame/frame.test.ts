import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { CortexError } from "../../../src/base/errors.ts";
import { formatAge, formatBytes } from "../../../src/base/units.ts";
import { defineCliCommand } from "../../../src/cli/frame/cli-command.ts";
import { EXIT, exitCodeOf, UnreachableError } from "../../../src/cli/frame/exit-codes.ts";
import { formatError } from "../../../src/cli/frame/report-error.ts";
import { splitRepeated } from "../../../src/cli/frame/strict-args.ts";
import { styleFor } from "../../../src/cli/frame/style.ts";
import { formatTable } from "../../../src/cli/frame/table.ts";

const plain = styleFor({});

describe("a command's arguments", () => {
  const seen: unknown[] = [];
  const command = defineCliCommand({
    name: "sample",
    summary: "Sample",
    args: {
      word: { type: "positional", required: false, description: "a word" },
      "two-words": { type: "string", description: "text" },
      many: { type: "string", description: "texts" },
      on: { type: "boolean", alias: "o", description: "switch" },
    },
    repeatable: ["many"],
    examples: [],
    exits: [],
    run: async (args) => {
      seen.push([args.word, args["two-words"], splitRepeated(args.many), args.on]);
      return EXIT.degraded;
    },
  });

  test.each([
    [[], [undefined, undefined, [], undefined]],
    [
      ["w", "--two-words", "a b"],
      ["w", "a b", [], undefined],
    ],
    [
      ["--two-words=--no-on", "-o"],
      [undefined, "--no-on", [], true],
    ],
    [
      ["--no-on", "--two-words", "-5"],
      [undefined, "-5", [], false],
    ],
    [
      ["--many", "a,b", "--many=c", "w"],
      ["w", undefined, ["a,b", "c"], undefined],
    ],
    [
      ["--", "--on"],
      ["--on", undefined, [], undefined],
    ],
    [
      ["--two-words", "a=b"],
      [undefined, "a=b", [], undefined],
    ],
  ])("%p are read", async (argv, expected) => {
    expect(await command.execute(argv)).toBe(EXIT.degraded);
    expect(seen.at(-1)).toEqual(expected);
  });
});

test("errors become exit codes", () => {
  expect(exitCodeOf(new Error("bug"))).toBe(1);
  expect(exitCodeOf(new CortexError("load_failed", "x"))).toBe(1);
  expect(exitCodeOf(new CortexError("unavailable", "x"))).toBe(1);
  expect(exitCodeOf(new CortexError("usage", "x"))).toBe(2);
  expect(exitCodeOf(new CortexError("invalid_config", "x"))).toBe(2);
  expect(exitCodeOf(new UnreachableError("x"))).toBe(5);
  expect(exitCodeOf(new CortexError("does_not_fit", "x"))).toBe(7);
});

test("an error's cause is its reason, and a bug asks for a report", () => {
  const cause = new Error("permission denied");
  expect(
    formatError(new CortexError("internal", "Cannot write", { cause, hint: "df" }), plain),
  ).toBe("cortex: Cannot write\n  why: permission denied\n  try: df\n");
  const bug = formatError(new TypeError("x is not a function"), plain);
  expect(bug).toStartWith("cortex: Bug in cortex: x is not a function\n  why: at ");
  expect(bug).toEndWith("  try: report these lines, with the command that you typed\n");
});

test("what the operating system refuses is no bug", async () => {
  const error = await readFile("/nonexistent/file").catch((thrown) => thrown);
  const text = formatError(error, plain);
  expect(text).toStartWith("cortex: Cannot open /nonexistent/file\n  why: ENOENT");
  expect(text).toEndWith("  try: ls -ld /nonexistent/file\n");
});

test("colours are for terminals without NO_COLOR", () => {
  expect(styleFor({ isTTY: true }, {}).red("x")).toBe("\u001B[31mx\u001B[39m");
  expect(styleFor({ isTTY: true }, { NO_COLOR: "1" }).red("x")).toBe("x");
  expect(styleFor({ isTTY: true }, { TERM: "dumb" }).red("x")).toBe("x");
  expect(styleFor({ isTTY: false }, {}).red("x")).toBe("x");
});

test("a table is aligned by what the eye sees", () => {
  const paint = (text: string) => `\u001B[31m${text}\u001B[39m`;
  const rows = [
    ["日本", "7", "end"],
    [{ text: "ab", paint }, "123", ""],
  ];
  expect(formatTable(["A", "N", "Z"], rows, { right: ["N"] }).split("\n")).toEqual([
    "A       N  Z",
    "日本    7  end",
    "\u001B[31mab\u001B[39m    123",
  ]);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 KiB"],
  [98_362_432, "94 MiB"],
  [1.5 * 1024 ** 3, "1.5 GiB"],
  [80 * 1024 ** 3, "80 GiB"],
  [5000 * 1024 ** 4, "5000 TiB"],
] as const)("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [10, "now"],
  [12_000, "12 s"],
  [190_000, "3 min"],
  [7_200_000, "2 h"],
  [200_000_000, "2 d"],
] as const)("%d ms are %s", (age, text) => {
  expect(formatAge(age)).toBe(text);
});
