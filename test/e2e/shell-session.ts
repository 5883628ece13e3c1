import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXECUTABLE, runCortex, waitUntil } from "./processes.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

const PROMPT = "READY> ";
const DEADLINE_MS = 30_000;

interface ShellSetup {
  readonly command: readonly string[];
  /** Where the completion script lies, as a package or a user puts it. */
  readonly script: string;
  readonly files: Readonly<Record<string, string>>;
}

/** What each shell starts with: a prompt to wait for, and its usual way to find completions. */
const SETUPS: Readonly<Record<Shell, ShellSetup>> = {
  bash: {
    command: ["bash", "--noprofile", "--rcfile", "bashrc", "-i"],
    script: "cortex.bash",
    files: { bashrc: `PS1='${PROMPT}'\n. ~/cortex.bash\n` },
  },
  zsh: {
    command: ["zsh", "-d", "-i"],
    script: "functions/_cortex",
    files: {
      ".zshrc": `PROMPT='${PROMPT}'\nfpath=(~/functions $fpath)\nautoload -Uz compinit\ncompinit -u\nbindkey -e\n`,
    },
  },
  fish: {
    command: ["fish", "-i"],
    script: ".config/fish/completions/cortex.fish",
    files: {
      ".config/fish/config.fish": `set -g fish_greeting\nfunction fish_prompt; printf '${PROMPT}'; end\n`,
    },
  },
};

/** A shell in a terminal of its own and a home with nothing but cortex in it; what it shows is kept. */
export class ShellSession {
  #shown = "";
  readonly #child: Bun.Subprocess;

  private constructor(
    readonly home: string,
    options: { readonly command: readonly string[]; readonly host: string },
  ) {
    const decoder = new TextDecoder();
    this.#child = Bun.spawn([...options.command], {
      cwd: home,
      env: {
        ...{ HOME: home, ZDOTDIR: home, XDG_CONFIG_HOME: join(home, ".config") },
        ...{ PATH: `${home}/bin:${process.env["PATH"]}`, TERM: "xterm", LANG: "C.UTF-8" },
        CORTEX_HOST: options.host,
      },
      terminal: {
        cols: 200,
        rows: 50,
        data: (_, bytes) => {
          this.#shown += decoder.decode(bytes, { stream: true });
        },
      },
    });
  }

  /** Starts the shell with the script that the executable prints for it, and waits for its prompt. */
  static async start(shell: Shell, host: string): Promise<ShellSession> {
    const home = await mkdtemp(join(tmpdir(), `cortex-${shell}-`));
    const { command, script, files } = SETUPS[shell];
    const { code, stdout } = await runCortex(["completion", shell]);
    if (code !== 0) throw new Error(`completion ${shell} ended with ${code}`);
    for (const [name, text] of Object.entries({ ...files, [script]: stdout })) {
      await Bun.write(join(home, name), text);
    }
    await mkdir(join(home, "bin"));
    await symlink(EXECUTABLE, join(home, "bin/cortex"));
    const session = new ShellSession(home, { command, host });
    await session.untilShown(PROMPT.trim());
    return session;
  }

  type(keys: string): void {
    this.#child.terminal?.write(keys);
  }

  /** Everything that the terminal got, without what moves and colours. */
  get shown(): string {
    return Bun.stripANSI(this.#shown);
  }

  async untilShown(text: string): Promise<void> {
    await waitUntil(() => this.shown.includes(text), {
      deadlineMs: DEADLINE_MS,
      what: () => `${JSON.stringify(text)} in ${JSON.stringify(this.#shown)}`,
    });
  }

  /** The words that the command line holds, as the shell itself takes them apart. */
  async readWords(): Promise<string[]> {
    this.type("\u0001printf '<%s>' \u0005 end\r"); // at the line's start, then at its end
    const words = /((?:<[^<>%]*>)+)<end>/;
    await waitUntil(() => words.test(this.shown), {
      deadlineMs: DEADLINE_MS,
      what: () => `the line's words in ${JSON.stringify(this.#shown)}`,
    });
    const found = words.exec(this.shown)?.[1] ?? "";
    return found.slice(1, -1).split("><");
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    await rm(this.home, { recursive: true, force: true });
  }
}
