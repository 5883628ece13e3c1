import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLibrary, type LibrarySearch } from "../../../src/neuron/native/find-library.ts";
import type { ProbeReport } from "../../../src/neuron/native/probe.ts";
import { tryLibrary } from "../../../src/neuron/native/try-library.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";

const good = (...deviceKinds: string[]): ProbeReport => ({
  ok: true,
  flavour: "x",
  backends: ["CPU"],
  deviceKinds,
});
const GOOD_CUDA = { ok: true, flavour: "ampere", backends: ["CUDA", "CPU"] } as const;
const BAD: ProbeReport = { ok: false, cause: "libcuda.so.1 is missing" };

function search(
  libraries: Readonly<Record<string, ProbeReport>>,
  embedded?: string,
): LibrarySearch {
  return {
    folders: ["/own", "/packaged"],
    exists: (path) => path in libraries && path !== embedded,
    tryLibrary: async (path) => libraries[path] ?? BAD,
    extractEmbedded: async () => embedded,
  };
}

async function find(libraries: Readonly<Record<string, ProbeReport>>, embedded?: string) {
  const log = new RecordingLog();
  const path = await findLibrary(undefined, { log, search: search(libraries, embedded) });
  expect(log.lines).toHaveLength(1);
  return { path, fields: log.lines[0]?.fields ?? {} };
}

describe("the native library", () => {
  test("is CUDA's where it finds a GPU", async () => {
    const found = await find({
      "/own/libneuron_cpu.so": good("cpu"),
      "/packaged/libneuron_cuda.so": good("cpu", "gpu"),
    });
    expect(found.path).toBe("/packaged/libneuron_cuda.so");
  });

  test("is the CPU's where CUDA's does not load, and the log says why", async () => {
    const found = await find({
      "/own/libneuron_cpu.so": good("cpu"),
      "/packaged/libneuron_cuda.so": BAD,
    });
    expect(found.path).toBe("/own/libneuron_cpu.so");
    expect(String(found.fields["rejected"])).toContain("libcuda.so.1 is missing");
  });

  test("is the CPU's where CUDA's finds no GPU", async () => {
    const found = await find({
      "/own/libneuron_cpu.so": good("cpu"),
      "/own/libneuron_cuda.so": good("cpu"),
    });
    expect(found.path).toBe("/own/libneuron_cpu.so");
  });

  test("is the embedded one where no other is", async () => {
    const found = await find({ "/cache/libneuron_cpu.so": good("cpu") }, "/cache/libneuron_cpu.so");
    expect(found.path).toBe("/cache/libneuron_cpu.so");
  });

  test("of another version is passed over with one warning that says to build it again", async () => {
    const log = new RecordingLog();
    const cause = "it was built for another version of cortex; build it again";
    const stale: ProbeReport = { ok: false, cause, isStale: true };
    const libraries = { "/own/libneuron_cuda.so": stale, "/own/libneuron_cpu.so": good("cpu") };
    const path = await findLibrary(undefined, { log, search: search(libraries) });
    expect(path).toBe("/own/libneuron_cpu.so");
    const warnings = log.lines.filter((line) => line.level === "warn");
    expect(warnings.map((line) => line.fields)).toEqual([
      { path: "/own/libneuron_cuda.so", cause },
    ]);
  });

  test("of another version, with none beside it, ends the start with its cause", async () => {
    const log = new RecordingLog();
    const cause = "it was built for another version of cortex; build it again";
    const libraries = { "/own/libneuron_cpu.so": { ok: false, cause, isStale: true } as const };
    expect(findLibrary(undefined, { log, search: search(libraries) })).rejects.toThrow(cause);
  });

  test("is missed with the folders that were searched", async () => {
    const log = new RecordingLog();
    expect(findLibrary(undefined, { log, search: search({}) })).rejects.toThrow("/own, /packaged");
  });

  test("that is configured is used, and refused where it does not exist", async () => {
    const log = new RecordingLog();
    const libraries = { "/x.so": good("cpu"), "/own/libneuron_cpu.so": good("cpu") };
    const options = { log, search: search(libraries) };
    expect(await findLibrary("/x.so", options)).toBe("/x.so");
    expect(findLibrary("/y.so", options)).rejects.toThrow("/y.so does not exist");
  });

  test("that is configured and does not load gives way to the CPU's, with one line that says why", async () => {
    const log = new RecordingLog();
    const libraries = { "/x.so": BAD, "/own/libneuron_cpu.so": good("cpu") };
    const path = await findLibrary("/x.so", { log, search: search(libraries) });
    expect(path).toBe("/own/libneuron_cpu.so");
    const warnings = log.lines.filter((line) => line.level === "warn");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.fields).toEqual({ path: "/x.so", cause: "libcuda.so.1 is missing" });
  });

  test("that is configured, for CUDA, and finds no GPU gives way to the CPU's", async () => {
    const log = new RecordingLog();
    const cuda: ProbeReport = { ...GOOD_CUDA, deviceKinds: ["cpu"] };
    const libraries = { "/x.so": cuda, "/own/libneuron_cpu.so": good("cpu") };
    const path = await findLibrary("/x.so", { log, search: search(libraries) });
    expect(path).toBe("/own/libneuron_cpu.so");
    const text = "The configured native library cannot be used";
    expect(log.has(text, { path: "/x.so", cause: "no GPU found" })).toBe(true);
  });

  test("of a real process: a file that is no library is one line, and the next one serves", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cortex-library-"));
    const path = join(folder, "libneuron_cuda.so");
    await Bun.write(path, "no library");
    const report = await tryLibrary(path);
    await rm(folder, { recursive: true, force: true });
    expect(report.ok).toBe(false);
    const cause = report.ok ? "" : report.cause;
    expect(cause).toContain(path);
    expect(cause).not.toContain("\n");
  }, 30_000);
});
