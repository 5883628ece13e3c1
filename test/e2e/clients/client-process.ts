import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JsonObject, objectOf } from "./script.ts";

/** A turn takes some seconds; on a busy machine, many. Less than a test may take, so that it says what was printed. */
const RUN_DEADLINE_MS = 45_000;

/** Where a client runs: a home of its own with nothing in it, and a folder to work in. */
export class Workplace {
  private constructor(readonly folder: string) {}

  static async create(): Promise<Workplace> {
    const place = new Workplace(await mkdtemp(join(tmpdir(), "cortex-client-")));
    await mkdir(place.home);
    await mkdir(place.work);
    await mkdir(place.temporary);
    return place;
  }

  get home(): string {
    return join(this.folder, "home");
  }

  get work(): string {
    return join(this.folder, "work");
  }

  get temporary(): string {
    return join(this.folder, "tmp");
  }

  /** What a client wrote into its working folder, or undefined. */
  async read(name: string): Promise<string | undefined> {
    const file = Bun.file(join(this.work, name));
    return (await file.exists()) ? await file.text() : undefined;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** What every client has to be told. */
export interface ClientOptions {
  readonly place: Workplace;
  /** The base address without a path. */
  readonly endpoint: string;
  readonly key: string;
  readonly model: string;
  readonly prompt: string;
  /** After which it is ended; a real model may need more than the default. */
  readonly deadlineMs?: number;
}

/** What came of a client's run. */
export interface ClientRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a client to its end with nothing of this process's environment but the path. Whatever it started goes with
 * it: it has a process group of its own, which is ended in any case.
 */
export async function runClient(
  command: readonly string[],
  options: Pick<ClientOptions, "place" | "deadlineMs"> & {
    readonly env: Readonly<Record<string, string>>;
  },
): Promise<ClientRun> {
  const { place, env, deadlineMs = RUN_DEADLINE_MS } = options;
  const child = Bun.spawn([...command], {
    cwd: place.work,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: place.home,
      XDG_CONFIG_HOME: join(place.home, ".config"),
      XDG_DATA_HOME: join(place.home, ".local/share"),
      XDG_STATE_HOME: join(place.home, ".local/state"),
      XDG_CACHE_HOME: join(place.home, ".cache"),
      TMPDIR: place.temporary,
      SHELL: "/bin/bash",
      LANG: "C.UTF-8",
      NO_COLOR: "1",
      ...env,
    },
  });
  const endGroup = () => endProcessGroup(child.pid);
  const timer = setTimeout(endGroup, deadlineMs);
  try {
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
    endGroup();
  }
}

function endProcessGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // All of its members have ended by themselves.
  }
}

/** The events that a client prints, one JSON object a line. */
export function parseJsonLines(text: string): readonly JsonObject[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => objectOf(JSON.parse(line)));
}
