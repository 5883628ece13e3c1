import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { systemClock } from "../../../src/base/clock.ts";
import { checkConfigs } from "../../../src/cli/doctor/config-checks.ts";
import { checkEngine, type EngineMachine } from "../../../src/cli/doctor/engine-checks.ts";
import type { Finding } from "../../../src/cli/doctor/finding.ts";
import { checkModels, checkWritable, findMount } from "../../../src/cli/doctor/folder-checks.ts";
import { checkPort } from "../../../src/cli/doctor/port-checks.ts";
import { checkPulls } from "../../../src/cli/doctor/pull-checks.ts";
import { checkLimits, checkUnits } from "../../../src/cli/doctor/system-checks.ts";
import { type NeuronConfig, NeuronConfigSchema } from "../../../src/config/neuron-schema.ts";
import { withFileLock } from "../../../src/hub/file-lock.ts";
import { HubStore } from "../../../src/hub/hub-store.ts";
import { writeRecord } from "../../../src/hub/pull-record.ts";
import type { ProbeReport } from "../../../src/neuron/native/probe.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";
import { ggufFile } from "../../neuron/fixture.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-doctor-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function neuronConfig(neuron: object = {}, supply: object = {}): NeuronConfig {
  return Value.Default(NeuronConfigSchema, {
    neuron: { models_dir: folder, ...neuron },
    supply,
  }) as NeuronConfig;
}

const states = (findings: readonly Finding[]) => findings.map(({ state }) => state);

describe("doctor's look at the configuration", () => {
  test("tells how many errors a file has and which command shows them", async () => {
    const file = join(folder, "neuron.toml");
    await Bun.write(file, '[neuron]\nlisten = 5\nmodels_dri = "x"\n');
    const { neuron, findings } = await checkConfigs({ gatewayFile: undefined, neuronFile: file });
    expect(neuron).toBeUndefined();
    const found = findings.find(({ check }) => check === "neuron's configuration");
    expect(found).toMatchObject({ state: "problem", mend: `cortex config check ${file}` });
  });
});

describe("doctor's look at ports", () => {
  const ask = (port: number) =>
    checkPort({ check: "port", listen: `127.0.0.1:${port}`, path: "/health" });

  test("tells a cortex from a stranger and from nobody", async () => {
    const neuron = new FakeNeuron().start();
    const held = await ask(Number(new URL(neuron.url).port));
    expect(held.state).toBe("ok");
    expect(held.text).toContain("is held by a cortex neuron");
    await neuron.kill();
    const stranger = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hi") });
    const port = Number(stranger.port);
    expect(await ask(port)).toMatchObject({
      ...{ state: "problem", mend: `ss -ltnp 'sport = :${port}'` },
    });
    await stranger.stop(true);
    expect((await ask(port)).text).toContain("is free");
  });

  test("says when the address is not this machine's", async () => {
    const found = await checkPort({ check: "port", listen: "192.0.2.1:4444", path: "/health" });
    expect(found).toMatchObject({ state: "problem", mend: "ip -brief address" });
  });
});

describe("doctor's look at the engine", () => {
  const device = { name: "CPU", description: "a CPU" };
  const cpu: ProbeReport = {
    ...{ ok: true, flavour: "cpu", backends: ["CPU"], deviceKinds: ["cpu"] },
    devices: [{ ...device, memory_total_bytes: 8 * 1024 ** 3, memory_free_bytes: 2 ** 30 }],
  };

  const machine = (report: ProbeReport, capability?: number): EngineMachine => ({
    search: {
      folders: ["/lib"],
      exists: (path) => path === "/lib/libneuron_cpu.so",
      tryLibrary: () => Promise.resolve(report),
      extractEmbedded: () => Promise.resolve(undefined),
    },
    tryLibrary: () => Promise.resolve(report),
    root: folder,
    capability: () => capability,
  });

  async function addDriver(): Promise<void> {
    const text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release\n";
    await Bun.write(join(folder, "proc/driver/nvidia/version"), text);
  }

  test("is content with a CPU library where no GPU is", async () => {
    const findings = await checkEngine(neuronConfig(), machine(cpu));
    expect(states(findings)).toEqual(["ok", "ok", "skipped"]);
    expect(findings[1]?.text).toBe("CPU a CPU: 1.0 GiB of 8.0 GiB free");
  });

  test("names the package for the GPU when a driver is there and the library is the CPU's", async () => {
    await addDriver();
    for (const [capability, flavour] of [
      [8.6, "ampere"],
      [8.9, "ada"],
      [12, "blackwell"],
    ] as const) {
      const findings = await checkEngine(neuronConfig(), machine(cpu, capability));
      expect(findings.at(-1)).toMatchObject({
        state: "problem",
        mend: `sudo dnf install --allowerasing helexa-neuron-${flavour}`,
      });
      expect(findings.at(-1)?.text).toContain("Driver 580.65.06 is loaded");
    }
  });

  test("finds a GPU that no driver serves", async () => {
    const pci = join(folder, "sys/bus/pci/devices/0000:65:00.0");
    await Bun.write(join(pci, "class"), "0x030200\n");
    await Bun.write(join(pci, "vendor"), "0x10de\n");
    const findings = await checkEngine(neuronConfig(), machine(cpu));
    expect(findings.at(-1)).toMatchObject({ state: "problem", mend: "sudo modprobe nvidia" });
  });

  test("says why a library does not load", async () => {
    const bad: ProbeReport = { ok: false, cause: "libstdc++ is too old" };
    const findings = await checkEngine(neuronConfig(), machine(bad));
    expect(states(findings)).toEqual(["problem"]);
    expect(findings[0]?.text).toContain("libstdc++ is too old");
  });
});

describe("doctor's look at folders", () => {
  test("wants models that can be read", async () => {
    const none = await checkModels(neuronConfig(), {});
    expect(none[0]).toMatchObject({ state: "problem", check: "models" });
    expect(none[0]?.mend).toStartWith("cortex pull hf:");
    await Bun.write(join(folder, "good.gguf"), ggufFile());
    await Bun.write(join(folder, "bad.gguf"), "no model");
    const some = await checkModels(neuronConfig(), {});
    expect(some[0]).toMatchObject({ state: "ok", text: `1 in ${folder}` });
    expect(some[1]).toMatchObject({ state: "problem", mend: "cortex rm bad --force" });
    const missing = await checkModels(neuronConfig({ models_dir: join(folder, "no") }), {});
    expect(missing[0]).toMatchObject({ state: "problem", mend: `mkdir -p ${folder}/no` });
    expect(missing.at(-1)?.check).toBe("disk space");
  });

  test("wants a place for temporary files, the cache and the state", async () => {
    const env = {
      TMPDIR: folder,
      CORTEX_CACHE_DIR: "/proc/self/none",
      CORTEX_STATE_DIR: join(folder, "yet/to/be/made"),
    };
    const findings = await checkWritable(env);
    expect(states(findings)).toEqual(["ok", "problem", "ok"]);
    expect(findings[1]?.text).toContain("The folder for cache, /proc/self/none");
  });

  test("finds the mount of a folder by its longest prefix", () => {
    const mounts = "d / ext4 rw 0 0\nt /tmp tmpfs rw,noexec 0 0\nx /tmp/a ext4 rw 0 0\n";
    expect(findMount(mounts, "/tmp/b")).toEqual({ point: "/tmp", options: ["rw", "noexec"] });
    expect(findMount(mounts, "/tmpfile")?.point).toBe("/");
    expect(findMount(mounts, "/tmp/a/c")?.point).toBe("/tmp/a");
  });
});

describe("doctor's look at pulls", () => {
  test("finds a lock that somebody holds and what a cut-off pull has left", async () => {
    const store = new HubStore(folder);
    expect(states(await checkPulls(store, Date.now()))).toEqual(["skipped", "ok"]);
    const blob = "a".repeat(64);
    const files = [{ path: "m.gguf", blob, bytes: 10, fetched: true }];
    const record = { source: "hf:o/m", repository: "o/m", commit: "b".repeat(40), files };
    await writeRecord(store, record, 0);
    const part = `${store.blobPath("o/m", blob)}.part`;
    await Bun.write(part, "12345");
    // A pull that wrote a moment ago goes on.
    expect(states(await checkPulls(store, Date.now()))).toEqual(["skipped", "ok"]);
    await utimes(part, 1, 1);
    await withFileLock(
      store.roomLockPath,
      async () => {
        const [lock, left] = await checkPulls(store, Date.now());
        expect(lock).toMatchObject({ state: "problem", mend: `fuser -v ${store.roomLockPath}` });
        expect(left).toMatchObject({ state: "problem", mend: "cortex pull hf:o/m" });
      },
      { clock: systemClock },
    );
    expect((await checkPulls(store, Date.now()))[0]?.state).toBe("ok");
  });
});

describe("doctor's look at the system", () => {
  test("wants room for open files", async () => {
    const file = join(folder, "limits");
    await Bun.write(
      file,
      "Max open files            1024                 524288               files\n",
    );
    expect(await checkLimits(file)).toMatchObject({ state: "problem", mend: "ulimit -n 65536" });
    await Bun.write(
      file,
      "Max open files            1048576              1048576              files\n",
    );
    expect((await checkLimits(file)).state).toBe("ok");
    expect((await checkLimits(join(folder, "none"))).state).toBe("skipped");
  });

  test("reads what systemd says of each unit", () => {
    const unit = (id: string, fields: string) => `Id=${id}\nLoadState=loaded\n${fields}\n`;
    const shown = [
      unit("cortex.service", "ActiveState=active\nSubState=running\nNRestarts=0"),
      unit("neuron.service", "ActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=5"),
      unit("neuron@1.service", "ActiveState=inactive\nSubState=dead\nUnitFileState=enabled"),
      "Id=other.service\nLoadState=not-found\nActiveState=inactive\n",
    ].join("\n");
    const findings = checkUnits(() => shown);
    expect(states(findings)).toEqual(["ok", "problem", "problem"]);
    expect(findings[1]?.text).toBe(
      "neuron.service is failed (failed), restarted 5 times: exit-code",
    );
    expect(findings[2]?.mend).toBe("sudo systemctl start neuron@1.service");
    expect(states(checkUnits(() => undefined))).toEqual(["skipped"]);
  });
});

test("a folder that exists is where things are tried, and nothing is left in it", async () => {
  await mkdir(join(folder, "cache"));
  await checkWritable({ TMPDIR: folder, CORTEX_CACHE_DIR: join(folder, "cache") });
  const left = await Array.fromAsync(new Bun.Glob("**/*").scan({ cwd: folder, dot: true }));
  expect(left).toEqual([]);
});
