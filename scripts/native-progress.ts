import { appendFile } from "node:fs/promises";

/** One line of progress on standard error: rewritten on a terminal, sparse in a log. */
export class Progress {
  readonly #label: string;
  readonly #tty = process.stderr.isTTY === true;
  #shown = -1;

  constructor(label: string) {
    this.#label = label;
  }

  update(percent: number): void {
    const step = this.#tty ? 1 : 10;
    const value = Math.floor(percent / step) * step;
    if (value <= this.#shown) return;
    this.#shown = value;
    process.stderr.write(
      this.#tty ? `\r${this.#label}: ${value} %` : `${this.#label}: ${value} %\n`,
    );
  }

  end(): void {
    if (this.#tty && this.#shown >= 0) process.stderr.write("\n");
  }
}

/** Says one thing that is being done, on standard error, since standard output is for results. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Receives the output, for a person to read after a failure. */
  readonly logPath?: string;
  /** Shows the percentage that ninja or make print. */
  readonly progress?: Progress;
}

const OUTPUT_LINES_SHOWN = 30;

/** Runs a command to its end and returns its output; throws with the last lines when it fails. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, LC_ALL: "C", ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output: string[] = [];
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      output.push(text);
      showPercent(text, options.progress);
      if (options.logPath !== undefined) await appendFile(options.logPath, text);
    }
  };
  await Promise.all([collect(child.stdout), collect(child.stderr)]);
  const exitCode = await child.exited;
  options.progress?.end();
  if (exitCode !== 0) {
    const lines = output.join("").trimEnd().split("\n").slice(-OUTPUT_LINES_SHOWN);
    const where =
      options.logPath === undefined ? "" : `\nThe whole output is in ${options.logPath}`;
    throw new Error(`'${command.join(" ")}' ended with ${exitCode}:\n${lines.join("\n")}${where}`);
  }
  return output.join("");
}

/** ninja writes "[12/345]", make writes "[ 12%]". */
function showPercent(text: string, progress: Progress | undefined): void {
  if (progress === undefined) return;
  const match = [...text.matchAll(/\[(\d+)\/(\d+)\]|\[\s*(\d+)%\]/g)].at(-1);
  if (match === undefined) return;
  progress.update(
    match[3] === undefined ? (100 * Number(match[1])) / Number(match[2]) : Number(match[3]),
  );
}
