import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Catalogue } from "../../../src/neuron/models/catalogue.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";
import { ggufFile } from "../fixture.ts";

let folder: string;
let log: RecordingLog;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-catalogue-"));
  log = new RecordingLog();
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const folders = (path: string) => [{ name: "models_dir", path, isOptional: false }];

async function scan(files: Readonly<Record<string, Blob>>): Promise<Catalogue> {
  for (const [path, content] of Object.entries(files)) await Bun.write(join(folder, path), content);
  const catalogue = new Catalogue({ folders: folders(folder), log, clock: new FakeClock() });
  await catalogue.scan();
  return catalogue;
}

const ids = (catalogue: Catalogue) => catalogue.entries().map((entry) => entry.id);

test("a folder is searched three levels deep, without projectors and without later parts", async () => {
  const catalogue = await scan({
    "a.gguf": ggufFile(),
    "1/2/3/b.gguf": ggufFile(),
    "1/2/3/4/too-deep.gguf": ggufFile(),
    "mmproj-a.gguf": ggufFile(),
    "big-00001-of-00002.gguf": ggufFile(),
    "big-00002-of-00002.gguf": ggufFile(),
    "notes.txt": new Blob(["x"]),
  });
  expect(ids(catalogue).toSorted()).toEqual(["a", "b", "big"]);
  expect(catalogue.find("big")?.description.parameters).toBe(16);
});

test("links of the hub's cache are followed", async () => {
  await mkdir(join(folder, "models--org--x/snapshots/abc"), { recursive: true });
  await Bun.write(join(folder, "models--org--x/blobs/0123"), ggufFile());
  const link = join(folder, "models--org--x/snapshots/abc/X-Q8_0.gguf");
  await symlink("../../blobs/0123", link);
  const catalogue = await scan({});
  expect(ids(catalogue)).toEqual(["x-q8_0"]);
  expect(catalogue.find("x")?.fileBytes).toBeGreaterThan(100);
});

test("a projector alone beside its model belongs to it", async () => {
  const catalogue = await scan({ "eyes/see.gguf": ggufFile(), "eyes/mmproj-f16.gguf": ggufFile() });
  expect(catalogue.find("see")?.mmproj).toBe(join(folder, "eyes/mmproj-f16.gguf"));
});

test("a projector that bears its model's name belongs to it, among others", async () => {
  const sees = ggufFile({ "clip.has_vision_encoder": { bool: true } });
  const hears = ggufFile({ "clip.has_audio_encoder": { bool: true } });
  const catalogue = await scan({
    "see-q4_0.gguf": ggufFile(),
    "mmproj-See-f16.gguf": sees,
    "hear-q8_0.gguf": ggufFile(),
    "hear.mmproj-Q8_0.gguf": hears,
    "plain.gguf": ggufFile(),
  });
  expect(catalogue.find("see")?.mmproj).toBe(join(folder, "mmproj-See-f16.gguf"));
  expect(catalogue.find("see")?.description.capabilities).toEqual(["chat", "completion", "vision"]);
  expect(catalogue.find("hear")?.description.capabilities).toContain("audio");
  expect(catalogue.find("plain")?.mmproj).toBeUndefined();
});

test("a projector that is damaged is its model's problem", async () => {
  const catalogue = await scan({ "see.gguf": ggufFile(), "mmproj-see.gguf": new Blob(["GGUF"]) });
  expect(catalogue.find("see")?.problem).toContain("mmproj-see.gguf");
});

test("an ambiguous alias stays with the first model, and the log says so", async () => {
  const catalogue = await scan({ "x-q4_0.gguf": ggufFile(), "x-q8_0.gguf": ggufFile() });
  expect(catalogue.find("x")?.id).toBe("x-q4_0");
  expect(log.lines.map((line) => line.text)).toContain(
    "Alias 'x' of model 'x-q8_0' is dropped: 'x-q4_0' has it already",
  );
});

test("a model with a missing part is listed with its problem", async () => {
  const catalogue = await scan({ "big-00001-of-00002.gguf": ggufFile() });
  expect(catalogue.find("big")?.problem).toContain("Part 2 of 2");
});

test("a folder that does not exist gives no models and one line", async () => {
  const catalogue = new Catalogue({
    folders: folders(join(folder, "none")),
    log,
    clock: new FakeClock(),
  });
  await catalogue.scan();
  await catalogue.scan();
  expect(ids(catalogue)).toEqual([]);
  expect(log.lines).toHaveLength(1);
});
