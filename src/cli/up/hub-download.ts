import { open, stat } from "node:fs/promises";
import { CortexError } from "../../base/errors.ts";
import { DEFAULT_MODEL } from "./default-model-facts.ts";
import { moveVerified } from "./verify-file.ts";

/** Where nothing answers, the next source should get its turn soon. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A connection that is silent for so long is dead. */
const STALL_TIMEOUT_MS = 30_000;
const HUB = "https://huggingface.co";

/**
 * Downloads the default model from the Hugging Face hub (or HF_ENDPOINT) to `target`. What an interrupted call left in
 * `target.part` is continued. The bytes are verified.
 */
export async function downloadFromHub(
  target: string,
  options: {
    readonly tell: (line: string) => void;
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly expected?: { readonly sha256: string };
  },
): Promise<void> {
  const env = options.env ?? process.env;
  if (env["HF_HUB_OFFLINE"] === "1") throw new CortexError("load_failed", "HF_HUB_OFFLINE is set");
  const { repository, revision, file } = DEFAULT_MODEL;
  const endpoint = (env["HF_ENDPOINT"] || HUB).replace(/\/+$/, "");
  const url = `${endpoint}/${repository}/resolve/${revision}/${file}`;
  const part = `${target}.part`;
  await download(url, { part, tell: options.tell });
  await moveVerified(part, target, options.expected ?? DEFAULT_MODEL);
}

async function download(
  url: string,
  options: { readonly part: string; readonly tell: (line: string) => void },
): Promise<void> {
  const { part, tell } = options;
  const have = await stat(part).then(
    ({ size }) => size,
    () => 0,
  );
  const abort = new AbortController();
  const stall = new StallTimer(abort);
  try {
    stall.restart(CONNECT_TIMEOUT_MS);
    const response = await fetch(url, {
      signal: abort.signal,
      headers: have > 0 ? { range: `bytes=${have}-` } : {},
    });
    // The whole file is there already: only the check of its bytes was missing.
    if (response.status === 416) return;
    if (!response.ok || response.body === null) {
      throw new CortexError("load_failed", `${url} answered ${response.status}`);
    }
    const start = response.status === 206 ? have : 0;
    if (start > 0) tell(`Going on after ${Math.floor(start / 1_000_000)} MB`);
    const total = start + Number(response.headers.get("content-length") ?? 0);
    const progress = new Progress(total, tell);
    const out = await open(part, start > 0 ? "a" : "w");
    try {
      let received = start;
      for await (const chunk of response.body) {
        stall.restart(STALL_TIMEOUT_MS);
        await out.writeFile(chunk);
        received += chunk.length;
        progress.reached(received);
      }
    } finally {
      await out.close();
    }
  } finally {
    stall.stop();
  }
}

class StallTimer {
  #timer: ReturnType<typeof setTimeout> | undefined;
  constructor(readonly abort: AbortController) {}

  restart(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.abort.abort(new CortexError("timeout", `No answer within ${delayMs / 1000} s`));
    }, delayMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Tells every tenth of the whole, which suits a terminal and a log alike. */
class Progress {
  #told = 0;
  constructor(
    readonly total: number,
    readonly tell: (line: string) => void,
  ) {}

  reached(bytes: number): void {
    const tenth = this.total > 0 ? Math.floor((bytes / this.total) * 10) : 0;
    if (tenth <= this.#told) return;
    this.#told = tenth;
    this.tell(`${tenth * 10} %`);
  }
}
