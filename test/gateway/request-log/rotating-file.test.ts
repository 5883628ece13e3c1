import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RotatingFile } from "../../../src/gateway/request-log/rotating-file.ts";

let folder: string;
let path: string;
const files: RotatingFile[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-rotating-"));
  path = join(folder, "requests.jsonl");
});

afterEach(async () => {
  for (const file of files.splice(0)) await file.close();
  await rm(folder, { recursive: true });
});

async function opened(filesMax = 3, bytesMax = 10): Promise<RotatingFile> {
  const file = new RotatingFile({ path, bytesMax, filesMax });
  files.push(file);
  await file.open();
  return file;
}

async function contents(): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  const texts = await Promise.all(names.map((name) => Bun.file(join(folder, name)).text()));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ""]));
}

describe("a rotating file", () => {
  test("is moved aside before it would be too large, and only so many are kept", async () => {
    const file = await opened();
    for (const text of ["1234\n", "5678\n", "abcd\n", "efgh\n", "ijkl\n", "mnop\n", "x\n"]) {
      await file.write(Buffer.from(text));
    }
    expect(await contents()).toEqual({
      "requests.jsonl": "x\n",
      "requests.jsonl.1": "ijkl\nmnop\n",
      "requests.jsonl.2": "abcd\nefgh\n",
    });
  });

  test("goes on with the file that is there", async () => {
    await Bun.write(path, "old\n");
    await (await opened()).write(Buffer.from("new\n"));
    expect(await contents()).toEqual({ "requests.jsonl": "old\nnew\n" });
  });

  test("a single file begins anew", async () => {
    const file = await opened(1);
    await file.write(Buffer.from("12345678\n"));
    await file.write(Buffer.from("abcd\n"));
    expect(await contents()).toEqual({ "requests.jsonl": "abcd\n" });
  });

  test("takes a text that is larger than the limit whole", async () => {
    const file = await opened();
    await file.write(Buffer.from("a text of more than ten bytes\n"));
    await file.write(Buffer.from("b\n"));
    expect(await contents()).toEqual({
      "requests.jsonl": "b\n",
      "requests.jsonl.1": "a text of more than ten bytes\n",
    });
  });

  test("is made anew when somebody else moves or removes it", async () => {
    const file = await opened();
    await file.write(Buffer.from("a\n"));
    await rename(path, `${path}.moved`);
    await file.write(Buffer.from("b\n"));
    await rm(path);
    await file.write(Buffer.from("c\n"));
    expect(await contents()).toEqual({ "requests.jsonl": "c\n", "requests.jsonl.moved": "a\n" });
  });

  test("two that write to one path, as in a restart, lose nothing", async () => {
    const [before, after] = [await opened(), await opened()];
    await before.write(Buffer.from("12345\n"));
    await after.write(Buffer.from("abcdef\n"));
    await before.write(Buffer.from("6\n"));
    expect(await contents()).toEqual({
      "requests.jsonl": "abcdef\n6\n",
      "requests.jsonl.1": "12345\n",
    });
  });

  test("is for its owner alone", async () => {
    await opened();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("a disk without room is an error", async () => {
    const file = new RotatingFile({ path: "/dev/full", bytesMax: 10, filesMax: 2 });
    files.push(file);
    await file.open();
    await expect(file.write(Buffer.from("a\n"))).rejects.toThrow("ENOSPC");
  });

  test("a path that cannot be written to is an error of the configuration that names it", async () => {
    const file = new RotatingFile({ path: join(folder, "no/where"), bytesMax: 10, filesMax: 2 });
    await expect(file.open()).rejects.toThrow(`Cannot open the request log ${folder}/no/where`);
  });
});
