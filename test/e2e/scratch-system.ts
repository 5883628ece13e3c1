import { readFileSync, writeFileSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../../scripts/native-progress.ts";

/** Programs that scriptlets call; each writes down how. */
const RECORDED = ["systemctl", "systemd-sysusers", "systemd-tmpfiles"] as const;
/** What belongs to the system itself on Enterprise Linux. */
const FOLDERS = [
  "/etc",
  // As on a machine that systemd has started.
  "/run/systemd/system",
  "/usr/bin",
  "/usr/lib/systemd/system",
  "/usr/lib/sysusers.d",
  "/usr/lib/tmpfiles.d",
  "/usr/lib64",
  "/usr/share/bash-completion/completions",
  "/usr/share/doc",
  "/usr/share/licenses",
  "/usr/share/man/man1",
] as const;
const CALLS = "/calls.log";
const OURS = /^(cortex|helexa-neuron|rpmlib|config)\b/;

/**
 * A system below a folder of its own, for rpm's --root: a shell for the scriptlets, programs of systemd that only write
 * down how they are called, and a package that provides what the packages need of any system.
 */
export class ScratchSystem {
  #provided = new Set<string>();

  private constructor(readonly root: string) {}

  static async create(): Promise<ScratchSystem> {
    const system = new ScratchSystem(await mkdtemp(join(tmpdir(), "cortex-system-")));
    for (const folder of FOLDERS) await mkdir(system.path(folder), { recursive: true });
    await system.#addShell();
    for (const name of RECORDED) {
      const program = system.path(`/usr/bin/${name}`);
      await Bun.write(program, `#!/bin/sh\necho "${name} $*" >>${CALLS}\n`);
      await chmod(program, 0o755);
    }
    system.forgetCalls();
    return system;
  }

  /** Where a path of this system lies on the machine. */
  path(path: string): string {
    return join(this.root, path);
  }

  async install(...packages: readonly string[]): Promise<void> {
    await this.#provideFor(packages);
    await this.#rpm("--install", ...packages);
  }

  async upgrade(...packages: readonly string[]): Promise<void> {
    await this.#provideFor(packages);
    await this.#rpm("--upgrade", ...packages);
  }

  async erase(...names: readonly string[]): Promise<void> {
    await this.#rpm("--erase", ...names);
  }

  /**
   * Installs a package and erases another one, in the order of a package manager's single transaction; rpm's own
   * command line has no such transaction.
   */
  async exchange(added: string, removed: string): Promise<void> {
    await this.#provideFor([added]);
    await this.#rpm("--install", "--nodeps", "--replacefiles", added);
    await this.#rpm("--erase", removed);
  }

  /** Names and versions of our packages. */
  async installed(): Promise<string[]> {
    const format = "%{NAME}-%{VERSION}-%{RELEASE}\\n";
    const out = await this.#rpm("--query", "--all", "--queryformat", format);
    return out
      .split("\n")
      .filter((line) => /^(cortex|helexa)/.test(line))
      .sort();
  }

  /** How scriptlets called systemd's programs, in order. */
  calls(): string[] {
    return readFileSync(this.path(CALLS), "utf8").trim().split("\n");
  }

  forgetCalls(): void {
    writeFileSync(this.path(CALLS), "");
  }

  /** Files and folders besides rpm's database. */
  async listFiles(): Promise<string[]> {
    const names = await readdir(this.root, { recursive: true });
    return names.filter((name) => !/^(var|calls\.log)\b/.test(name)).sort();
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  async #rpm(...args: readonly string[]): Promise<string> {
    return await run([
      "rpm",
      "--root",
      this.root,
      "--dbpath",
      "/var/lib/rpm",
      "--nosignature",
      ...args,
    ]);
  }

  /** The machine's shell with its libraries. */
  async #addShell(): Promise<void> {
    const shell = Bun.which("dash") ?? "/bin/sh";
    const needed = (await run(["ldd", shell])).matchAll(/(\/\S+) \(0x/g);
    for (const [, library = ""] of needed) await this.#copy(library, library);
    await this.#copy(shell, "/bin/sh");
  }

  async #copy(from: string, to: string): Promise<void> {
    await mkdir(dirname(this.path(to)), { recursive: true });
    await cp(from, this.path(to), { dereference: true });
  }

  /** Registers a package that provides what these need and none of ours provides: libc, a shell, systemd. */
  async #provideFor(packages: readonly string[]): Promise<void> {
    const needed = (await run(["rpm", "--query", "--requires", "--package", ...packages]))
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "" && !OURS.test(line) && !this.#provided.has(line));
    if (needed.length === 0) return;
    for (const line of needed) this.#provided.add(line);
    const name = `scratch-system-${this.#provided.size}`;
    const spec = this.path(`/var/${name}.spec`);
    await mkdir(dirname(spec), { recursive: true });
    await Bun.write(
      spec,
      [
        ...[`Name: ${name}`, "Version: 1", "Release: 1", "Summary: Any system"],
        ...["License: CC0-1.0", "BuildArch: noarch"],
        ...[...new Set(needed)].map((line) => `Provides: ${line}`),
        ...["%description", "What any system provides.", "%files"],
      ].join("\n"),
    );
    const top = this.path("/var/rpmbuild");
    await run(["rpmbuild", "-bb", "--quiet", "--define", `_topdir ${top}`, spec]);
    await this.#rpm("--install", "--justdb", join(top, "RPMS/noarch", `${name}-1-1.noarch.rpm`));
  }
}
