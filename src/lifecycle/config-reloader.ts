import { stat } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { CortexError, describeError, isAbort } from "../base/errors.ts";
import type { Log } from "../base/log.ts";

/** The files behind a configuration. */
export interface ConfigSources {
  /** Those that it was read from. */
  readonly files: readonly string[];
  /** Those that hold its tokens and keys, absolute. */
  readonly secretFiles: readonly string[];
}

export interface ConfigReloaderOptions<Loaded extends ConfigSources> {
  readonly first: Loaded;
  /** Reads and checks everything anew; throws `invalid_config`. */
  readonly load: () => Promise<Loaded>;
  /** Where files are looked for, whether or not they exist. */
  readonly watched: readonly string[];
  /** {@link readStamps} of these from before `first` was read: what changed since then is taken up. */
  readonly stamps: string;
  /** {@link readStamps} of the first's secrets from before they were read. */
  readonly secretStamps: string;
  /** Goes on with the configuration and says what differs, or throws `invalid_config` and changes nothing. */
  readonly apply: (wanted: Loaded) => object;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often the files are looked at. Watching by inotify misses files that are replaced. */
const LOOK_MS = 2_000;

/**
 * Brings a changed configuration into a running role: at a signal, or when a file or a secret has changed and then
 * stayed the same for one look, so that a half-written one is not read. What has an error, and a file that is gone,
 * leaves everything as it is. Owner of what was seen of the files.
 */
export class ConfigReloader<Loaded extends ConfigSources> {
  readonly #options: ConfigReloaderOptions<Loaded>;
  readonly #stop = new AbortController();
  /** Reloads happen one after another. */
  #turn: Promise<void> = Promise.resolve();
  #files: readonly string[];
  #secretFiles: readonly string[];
  #secretStamps: string;

  constructor(options: ConfigReloaderOptions<Loaded>) {
    this.#options = options;
    this.#files = options.first.files;
    this.#secretFiles = options.first.secretFiles;
    this.#secretStamps = options.secretStamps;
  }

  /** Looks at the files until {@link stop}. */
  async run(): Promise<void> {
    const { clock, log } = this.#options;
    let handled = this.#options.stamps;
    let seen = handled;
    let seenSecrets = this.#secretStamps;
    while (!this.#stop.signal.aborted) {
      try {
        await clock.sleep(LOOK_MS, this.#stop.signal);
        const stamps = await readStamps(this.#options.watched);
        const secrets = await readStamps(this.#secretFiles);
        const isSettled = stamps === seen && secrets === seenSecrets;
        seen = stamps;
        seenSecrets = secrets;
        if (isSettled && (stamps !== handled || secrets !== this.#secretStamps)) {
          handled = stamps;
          // What is refused is not tried again until it changes.
          this.#secretStamps = secrets;
          await this.reload("file changed");
        }
      } catch (thrown) {
        if (!isAbort(thrown)) log.error("Files not watched", { cause: describeError(thrown) });
      }
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Reads everything now; the log says what came of it. */
  reload(cause: string): Promise<void> {
    this.#turn = this.#turn.then(() => this.#reload(cause));
    return this.#turn;
  }

  async #reload(cause: string): Promise<void> {
    const { load, apply, log } = this.#options;
    try {
      const wanted = await load();
      const gone = this.#files.find((file) => !wanted.files.includes(file));
      if (gone !== undefined) throw new CortexError("invalid_config", `${gone} is gone`);
      // Before they are read: what changes meanwhile is seen at the next look.
      const secretStamps = await readStamps(wanted.secretFiles);
      const change = apply(wanted);
      this.#files = wanted.files;
      this.#secretFiles = wanted.secretFiles;
      this.#secretStamps = secretStamps;
      const isSame = Object.keys(change).length === 0;
      log.info(isSame ? "Configuration has no changes" : "Configuration applied", {
        cause,
        ...change,
      });
    } catch (thrown) {
      log.error("Configuration refused, the old one stays", { cause: describeError(thrown) });
    }
  }
}

/** Changes whenever any of the files is written, replaced, made or removed. */
export async function readStamps(files: readonly string[]): Promise<string> {
  return (await Promise.all(files.map(readStamp))).join("\n");
}

async function readStamp(file: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (thrown) {
    // Missing, or not to be read: its appearance is a change.
    return (thrown as NodeJS.ErrnoException).code ?? "unreadable";
  }
}
