/**
 * The interface's stamp is a hash of include/neuron.h. It only says something when the header names whatever crosses:
 * a field that is added without it would leave the stamp as it was.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { SKIP_REASON, sharedDrainer, TestDevice, tinyModel } from "./harness.ts";

const CUDA = resolve(import.meta.dir, "../../cuda");
const header = await Bun.file(join(CUDA, "include/neuron.h")).text();
const isNamed = (field: string) => header.includes(`"${field}"`);

/** Members whose names are a model's or a template's, or that are OpenAI's own. */
const OPEN = new Set(["template_caps", "template_traits", "usage"]);

/** Every member's name in a value. */
function fieldsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(fieldsOf);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [
    name,
    ...(OPEN.has(name) ? [] : fieldsOf(member)),
  ]);
}

const unnamed = (value: unknown) => [...new Set(fieldsOf(value))].filter((name) => !isNamed(name));

describe("the header names every field", () => {
  test("of options and jobs that the library reads", async () => {
    for (const file of ["abi.cpp", "jobs.cpp", "model.cpp"]) {
      const source = await Bun.file(join(CUDA, "src", file)).text();
      const read = [
        ...source.matchAll(
          /(?:get_or(?:<[^(]*>)?|contains|at|choose<[^(]*>|cache_type)\(\s*(?:[\w.>-]+,\s*)?"(\w+)"/g,
        ),
      ];
      const names = read.map((match) => match[1] ?? "");
      expect(names.length).toBeGreaterThan(5);
      expect(names.filter((name) => !isNamed(name))).toEqual([]);
    }
  });

  test("of the figures that TypeScript knows", async () => {
    const types = await Bun.file(join(CUDA, "engine.ts")).text();
    const names = [
      "EngineOptions",
      "EngineDiscovery",
      "EngineDevice",
      "DeviceFigures",
      "ModelFigures",
    ].flatMap((type) => {
      const body = new RegExp(`export interface ${type} \\{([\\s\\S]*?)\\n\\}`).exec(types)?.[1];
      return [...(body ?? "").matchAll(/readonly (\w+)\??:/g)].map((match) => match[1] ?? "");
    });
    expect(names.length).toBeGreaterThan(40);
    expect(names.filter((name) => !isNamed(name))).toEqual([]);
  });
});

describe.skipIf(SKIP_REASON !== undefined)(
  "the header names every field that the library sends",
  () => {
    let device: TestDevice;
    let folder: string;
    let path: string;
    let loaded: unknown;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "cortex-fields-"));
      device = await TestDevice.open("fields");
      path = await tinyModel("fields");
      loaded = await device.load("fields", path);
    });

    afterAll(async () => {
      await device.close();
      await rm(folder, { recursive: true, force: true });
    });

    test("in discovery and figures", () => {
      expect(unnamed(sharedDrainer().engine.discover())).toEqual([]);
      expect(unnamed(device.figures())).toEqual([]);
    });

    test("in what jobs answer", async () => {
      const file = join(folder, "kept");
      const answers = [loaded];
      for (const job of [
        { op: "estimate", path, model: "fields", slots: 2, threads: 1 },
        { op: "memory" },
        { op: "kv_save", model: "fields", path: file },
        { op: "kv_restore", model: "fields", path: file },
        { op: "unload", model: "fields" },
      ]) {
        const { last, result } = await device.job(job);
        expect([job.op, last.kind]).toEqual([job.op, "result"]);
        answers.push(result);
      }
      expect(unnamed(answers)).toEqual([]);
      await device.load("fields", path);
    });

    test("in events", async () => {
      const stream = await device.chat("fields", { stream: true }).done;
      expect(stream.last.kind).toBe("end");
      const whole = await device.chat("fields").done;
      const failed = await device.chat("fields", {
        messages: [{ role: "user", content: "a ".repeat(9000) }],
      }).done;
      expect(failed.last.status).toBe("context");
      const others = stream.events.filter((event) => event.kind === "progress");
      const seen = [
        stream.result,
        whole.result.cortex,
        failed.result,
        ...others.map((event) => JSON.parse(event.payload)),
        ...sharedDrainer().loose.map((event) => JSON.parse(event.payload)),
      ];
      expect(unnamed(seen)).toEqual([]);
    });
  },
);
