import { stat } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { ConfigChange, FullConfig } from "./describe-change.ts";

/** A configuration and the files that it was read from. */
export interface LoadedConfig extends FullConfig {
  readonly files: readonly string[];
}

export interface ConfigReloaderOptions {
  readonly first: LoadedConfig;
  /** Reads and checks everything anew; throws `invalid_config`. */
  readonly load: () => Promise<LoadedConfig>;
  /** Where files are looked for, whether or not they exist. */
  readonly watched: readonly string[];
  /** {@link readStamps} of these from before `first` was read: what changed since then is taken up. */
  readonly stamps: string;
  /** Goes on with the configuration, or throws `invalid_config` and changes nothing. */
  readonly apply: (wanted: FullConfig) => ConfigChange;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often the files are looked at. Watching by inotify misses files that are replaced. */
const LOOK_MS = 2_000;

/**
 * Brings a changed configuration into a running gateway: at a signal, or when a file has changed and then stayed the
 * same for one look, so that a half-written one is not read. What has an error, and a file that is gone, leaves
 * everything as it is. Owner of what was seen of the files.
 */
export class ConfigReloader {
  readonly #options: ConfigReloaderOptions;
  readonly #stop = new AbortController();
  /** Reloads happen one after another. */
  #turn: Promise<void> = Promise.resolve();
  #files: readonly string[];

  constructor(options: ConfigReloaderOptions) {
    this.#options = options;
    this.#files = options.first.files;
  }

  /** Looks at the files until {@link stop}. */
  async run(): Promise<void> {
    const { clock, log } = this.#options;
    let handled = this.#options.stamps;
    let seen = handled;
    while (!this.#stop.signal.aborted) {
      try {
        await clock.sleep(LOOK_MS, this.#stop.signal);
        const stamps = await readStamps(this.#options.watched);
        if (stamps === seen && stamps !== handled) {
          handled = stamps;
          await this.reload("file changed");
        }
        seen = stamps;
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
      const change = apply(wanted);
      this.#files = wanted.files;
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
