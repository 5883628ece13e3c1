import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/native-progress.ts";
import type { Flavour } from "../../scripts/package/package-plans.ts";
import {
  type CommitFacts,
  formatStamp,
  readCommitFacts,
} from "../../scripts/package/version-stamp.ts";
import { buildPackages } from "../../scripts/package.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { SHELL_SCRIPTS } from "../../src/cli/completion/shell-scripts.ts";
import { COMMAND_OUTPUT_NAMES, publishCommandSchema } from "../../src/protocol/command-schemas.ts";
import { findFreePort, MODELS_DIR, postJson, readStream, waitUntil } from "./processes.ts";
import { ScratchSystem } from "./scratch-system.ts";

const ROOT = join(import.meta.dir, "../..");
const CONFIG = join(ROOT, "config");
/** Listens as systemd does, which Bun cannot, and prints what it hears until the service stops. */
const MANAGER = `
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
notice = ""
while notice != "STOPPING=1":
    notice = manager.recv(4096).decode()
    if notice != "BARRIER=1":
        print(notice, flush=True)
`;
/** Two versions of the executable, each compressed once. */
const BUILD_MS = 300_000;
const EXPOSURE_MAX = { "cortex.service": 1.5, "neuron.service": 2, "neuron@.service": 2 } as const;

let folder: string;
let facts: CommitFacts;
let older: Packages;
let newer: Packages;

interface Packages {
  readonly version: string;
  readonly cortex: string;
  readonly cpu: string;
  readonly ampere: string;
}

/** Packages of this tree under a version of the test's choice. The libraries are this machine's. */
async function makePackages(
  commitCount: number,
  flavours: readonly Flavour[] = ["cpu", "ampere"],
): Promise<Packages> {
  const stamp = formatStamp({ ...facts, tag: undefined, commitCount, isDirty: false });
  const made = await buildPackages({
    flavours,
    folder: join(folder, String(commitCount)),
    libraries: join(folder, "libraries"),
    // What this machine's compiler asks for; releases are built on the oldest system.
    glibcMax: "2.99",
    stamp,
  });
  const [cortex = "", cpu = "", ampere = ""] = made;
  return { version: `${stamp.version}-1`, cortex, cpu, ampere };
}

/** The CPU's library under both names: no GPU is needed to install a flavour, and then none is found. */
async function placeLibraries(): Promise<void> {
  const cpu = join(folder, "libraries/cpu/libneuron_cpu.so");
  const cuda = join(folder, "libraries/ampere/libneuron_cuda.so");
  await mkdir(join(cpu, ".."), { recursive: true });
  await mkdir(join(cuda, ".."), { recursive: true });
  await cp(join(ROOT, "cuda/lib/libneuron_cpu.so"), cpu);
  await cp(cpu, cuda);
  await appendFile(cuda, "\n");
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-packages-"));
  facts = await readCommitFacts(ROOT);
  await placeLibraries();
  older = await makePackages(1);
  newer = await makePackages(2);
}, BUILD_MS);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("the packages", () => {
  test("have nothing that rpmlint complains of without a reason on file", async () => {
    const said = await run([
      "rpmlint",
      "--config",
      join(CONFIG, "packages/rpmlint.toml"),
      ...[newer.cortex, newer.cpu, newer.ampere],
    ]);
    expect(said).toContain("3 packages and 0 specfiles checked; 0 errors, 0 warnings");
  });

  test(
    "are the same bytes when they are built again",
    async () => {
      const first = await Bun.file(newer.cortex).bytes();
      const again = await makePackages(2, []);
      expect(Bun.hash(await Bun.file(again.cortex).bytes())).toBe(Bun.hash(first));
    },
    BUILD_MS,
  );

  test("refuse a library that Enterprise Linux 9 could not load", async () => {
    const options = { flavours: ["cpu"] as const, folder, libraries: join(folder, "libraries") };
    const refused = buildPackages({ ...options, glibcMax: "2.4" });
    await expect(refused).rejects.toThrow(
      /libneuron_cpu\.so needs glibc 2\.\d+: the limit is 2\.4/,
    );
  });

  test("carry an SBOM that names the engine and every production dependency", async () => {
    const system = await ScratchSystem.create();
    await system.install(newer.cortex, newer.cpu);
    const read = async (name: string) =>
      (await Bun.file(system.path(`/usr/share/doc/${name}/sbom.spdx.json`)).json()) as {
        readonly packages: readonly { readonly name: string; readonly versionInfo: string }[];
      };
    const names = (await read("cortex")).packages.map((part) => part.name);
    const manifest = (await Bun.file(join(ROOT, "package.json")).json()) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const own = Object.entries(manifest.dependencies).filter(([, at]) => !at.startsWith("work"));
    expect(names).toContain("bun");
    for (const [name] of own) expect(names).toContain(name);
    const engine = (await read("helexa-neuron-cpu")).packages.map((part) => part.name);
    expect(engine).toContain("node-llama-cpp");
    await system.remove();
  });
});

describe("a system", () => {
  test("takes an installation, an upgrade and an erasure, and keeps only changed configuration", async () => {
    const system = await ScratchSystem.create();
    const before = await system.listFiles();
    await system.install(older.cortex, older.cpu);
    expect(await system.installed()).toEqual([
      `cortex-${older.version}`,
      `helexa-neuron-cpu-${older.version}`,
    ]);
    expect(system.calls()).toContain("systemctl --no-reload preset cortex.service");
    expect(system.calls()).toContain("systemctl --no-reload preset neuron.service");
    expect(system.calls()).toContain("systemd-sysusers helexa-neuron.conf");
    await appendFile(system.path("/etc/cortex/neuron.toml"), "# Ours\n");

    system.forgetCalls();
    await system.upgrade(newer.cortex, newer.cpu);
    expect(await system.installed()).toEqual([
      `cortex-${newer.version}`,
      `helexa-neuron-cpu-${newer.version}`,
    ]);
    expect(await Bun.file(system.path("/etc/cortex/neuron.toml")).text()).toEndWith("# Ours\n");
    expect(system.calls()).toContain("systemctl try-reload-or-restart cortex.service");
    expect(system.calls()).toContain("systemctl try-restart neuron.service neuron@*.service");
    expect(system.calls().join("\n")).not.toMatch(/preset|disable|stop/);

    system.forgetCalls();
    const wants = system.path("/etc/systemd/system/multi-user.target.wants");
    await mkdir(wants, { recursive: true });
    const instance = join(wants, "neuron@1.service");
    await symlink("/usr/lib/systemd/system/neuron@.service", instance);
    await system.erase("helexa-neuron-cpu", "cortex");
    expect(system.calls()).toContain("systemctl --no-reload disable neuron.service");
    expect(system.calls()).toContain("systemctl --no-reload disable neuron@1.service");
    // The real systemctl has taken the link away.
    await rm(system.path("/etc/systemd"), { recursive: true });
    expect(system.calls()).toContain("systemctl stop neuron.service neuron@*.service");
    const left = (await system.listFiles()).filter((path) => !before.includes(path));
    expect(left).toEqual(["etc/cortex", "etc/cortex/neuron.toml.rpmsave"]);
    await system.remove();
  });

  test("keeps the service enabled when one flavour takes another one's place", async () => {
    const system = await ScratchSystem.create();
    await system.install(newer.cortex, newer.cpu);
    const isThere = (path: string) => Bun.file(system.path(path)).exists();
    await expect(system.install(newer.ampere)).rejects.toThrow(/conflicts with/);
    system.forgetCalls();
    await system.exchange(newer.ampere, "helexa-neuron-cpu");
    expect(await system.installed()).toEqual([
      `cortex-${newer.version}`,
      `helexa-neuron-ampere-${newer.version}`,
    ]);
    expect(system.calls()).toContain("systemctl try-restart neuron.service neuron@*.service");
    expect(system.calls().join("\n")).not.toMatch(/preset|disable|stop/);
    expect(await isThere("/usr/lib64/helexa-neuron/libneuron_cuda.so")).toBeTrue();
    expect(await isThere("/usr/lib64/helexa-neuron/build-cpu.json")).toBeFalse();
    await system.remove();
  });

  test("refuses libraries of another version than the executable's", async () => {
    const system = await ScratchSystem.create();
    await system.install(older.cortex);
    await expect(system.install(newer.cpu)).rejects.toThrow(/cortex = \S+ is needed by/);
    await system.remove();
  });
});

describe("what is installed", () => {
  test("answers a streamed request in both roles, with the packaged library", async () => {
    const system = await ScratchSystem.create();
    await system.install(newer.cortex, newer.cpu);
    const executable = system.path("/usr/bin/cortex");
    const said = JSON.parse(await run([executable, "version", "--json"])) as object;
    const build = newer.version.replace(/-1$/, "");
    expect(said).toMatchObject({ build, libraries: [] });
    expect(await run([executable, "version"])).toBe(`${build}\n`);
    const [neuronPort, port] = [findFreePort(), findFreePort()];
    const neuron = start(
      [executable, "neuron", "--config", system.path("/etc/cortex/neuron.toml")],
      {
        flags: ["--models-dir", MODELS_DIR, "--listen", `127.0.0.1:${neuronPort}`],
        log: join(system.root, "neuron.log"),
      },
    );
    const gateway = start(
      [executable, "gateway", "--config", system.path("/etc/cortex/cortex.toml")],
      {
        flags: [
          ...["--listen", `127.0.0.1:${port}`, "--metrics-listen", `127.0.0.1:${port + 1}`],
          ...["--neuron", `workstation=http://127.0.0.1:${neuronPort}`],
        ],
        log: join(system.root, "gateway.log"),
      },
    );
    try {
      const url = `http://127.0.0.1:${port}`;
      await waitUntil(async () => (await listModels(url)).includes("tiny-a"), {
        what: () => "the packaged neuron's models at the packaged gateway",
      });
      for (const role of [url, `http://127.0.0.1:${neuronPort}`]) {
        expect(await (await fetch(`${role}/health`)).json()).toMatchObject({ version: build });
      }
      const metrics = await (await fetch(`http://127.0.0.1:${port + 1}/metrics`)).text();
      expect(metrics).toContain(`cortex_build_info{version="${build}",role="gateway"`);
      const messages = [{ role: "user", content: "Hello" }];
      const body = { model: "tiny-a", stream: true, max_tokens: 8, messages };
      const answer = await readStream(await postJson(`${url}/v1/chat/completions`, body));
      expect(answer).toMatchObject({ done: true, error: undefined });
      expect(answer.content).not.toBe("");
      const log = await Bun.file(join(system.root, "neuron.log")).text();
      expect(log).toContain(system.path("/usr/lib64/helexa-neuron/libneuron_cpu.so"));
    } finally {
      gateway.kill();
      neuron.kill();
      await Promise.all([gateway.exited, neuron.exited]);
      await system.remove();
    }
  });

  test("tells the service manager that it serves, lives and ends", async () => {
    const system = await ScratchSystem.create();
    await system.install(newer.cortex);
    const socket = join(system.root, "notify");
    // rpmlint has brought it along.
    const manager = Bun.spawn(["python3", "-c", MANAGER, socket], { stdout: "pipe" });
    await waitUntil(() => existsSync(socket), { what: () => "the manager's socket" });
    const port = findFreePort();
    const gateway = start([system.path("/usr/bin/cortex"), "gateway"], {
      flags: [
        ...["--config", system.path("/etc/cortex/cortex.toml"), "--listen", `127.0.0.1:${port}`],
        ...["--metrics-listen", `127.0.0.1:${port + 1}`],
      ],
      log: join(system.root, "gateway.log"),
      env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "300000" },
    });
    let heard = "";
    let isStopping = false;
    for await (const text of manager.stdout.pipeThrough(new TextDecoderStream())) {
      heard += text;
      // A second signal would end it at once.
      if (isStopping || !heard.includes("WATCHDOG=1\nWATCHDOG=1\n")) continue;
      isStopping = true;
      gateway.kill();
    }
    await Promise.all([gateway.exited, manager.exited]);
    expect(heard).toMatch(/^READY=1\n(WATCHDOG=1\n){2,}STOPPING=1\n$/);
    await system.remove();
  });

  test("has units that systemd takes and that are shut off from the system", async () => {
    const system = await ScratchSystem.create();
    await system.install(newer.cortex, newer.cpu);
    const units = system.path("/usr/lib/systemd/system");
    for (const [name, exposureMax] of Object.entries(EXPOSURE_MAX)) {
      const unit = join(units, name);
      const text = await Bun.file(unit).text();
      // An instance; verify looks for the programs on this machine, not below that root.
      const checked = join(folder, name.replace("@.", "@0."));
      await Bun.write(checked, text.replaceAll("/usr/bin/cortex", system.path("/usr/bin/cortex")));
      const verified = await run(["systemd-analyze", "verify", "--man=no", checked]);
      expect(verified).toBe("");
      const security = await run(["systemd-analyze", "security", "--offline=yes", checked]);
      const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(security)?.[1]);
      expect(exposure).toBeLessThanOrEqual(exposureMax);
    }
    await system.remove();
  });

  test("has the completion of every shell, and the schema of every command with --json", async () => {
    const system = await ScratchSystem.create();
    await system.install(newer.cortex);
    const read = (path: string) => Bun.file(system.path(join("/usr/share", path))).text();
    expect(await read("bash-completion/completions/cortex")).toBe(SHELL_SCRIPTS.bash);
    expect(await read("zsh/site-functions/_cortex")).toBe(SHELL_SCRIPTS.zsh);
    expect(await read("fish/vendor_completions.d/cortex.fish")).toBe(SHELL_SCRIPTS.fish);
    for (const name of COMMAND_OUTPUT_NAMES) {
      const text = await read(`cortex/schemas/${name.replaceAll(" ", "-")}.schema.json`);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(publishCommandSchema(name))));
    }
    await system.remove();
  });

  test("has a man page for every command", async () => {
    const system = await ScratchSystem.create();
    await system.install(newer.cortex);
    const pages = system.path("/usr/share/man/man1");
    const names = await readdir(pages);
    const shown = COMMANDS.filter(({ hidden }) => !hidden);
    const pagesOf = shown.map(({ name }) => `cortex-${name.replaceAll(" ", "-")}.1.gz`);
    expect(names.sort()).toEqual(["cortex.1.gz", ...pagesOf].sort());
    for (const name of names) {
      const page = new TextDecoder().decode(
        Bun.gunzipSync(await Bun.file(join(pages, name)).bytes()),
      );
      expect(page).toStartWith(".TH CORTEX");
      expect(page).toContain("\n.SH EXIT STATUS\n");
    }
    await system.remove();
  });
});

function start(
  command: readonly string[],
  {
    flags,
    log,
    env = {},
  }: {
    readonly flags: readonly string[];
    readonly log: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Bun.Subprocess {
  return Bun.spawn([...command, ...flags], {
    stdin: "ignore",
    stdout: Bun.file(log),
    stderr: Bun.file(log),
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
}

async function listModels(url: string): Promise<string[]> {
  try {
    const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
    return list.data.map((model) => model.id);
  } catch {
    // Nobody listens yet: the caller asks again until its deadline.
    return [];
  }
}
