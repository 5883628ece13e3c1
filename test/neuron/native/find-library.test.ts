import { describe, expect, test } from "bun:test";
import { findLibrary, type LibrarySearch } from "../../../src/neuron/native/find-library.ts";
import type { ProbeReport } from "../../../src/neuron/native/probe.ts";
import { RecordingLog } from "../fixture.ts";

const good = (...deviceKinds: string[]): ProbeReport => ({
  ok: true,
  flavour: "x",
  backends: ["CPU"],
  deviceKinds,
});
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

  test("is missed with the folders that were searched", async () => {
    const log = new RecordingLog();
    expect(findLibrary(undefined, { log, search: search({}) })).rejects.toThrow("/own, /packaged");
  });

  test("that is configured is used or refused, never replaced", async () => {
    const log = new RecordingLog();
    const libraries = { "/x.so": BAD, "/own/libneuron_cpu.so": good("cpu") };
    const options = { log, search: search(libraries) };
    expect(findLibrary("/x.so", options)).rejects.toThrow("libcuda.so.1 is missing");
    expect(findLibrary("/y.so", options)).rejects.toThrow("/y.so does not exist");
  });
});
