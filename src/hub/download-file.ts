import { stat } from "node:fs/promises";
import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import { withFileLock } from "./file-lock.ts";
import { askHub, type HubAnswer, type HubConnection } from "./hub-request.ts";
import { isStrongTag, PartFile, partBytes } from "./part-file.ts";
import { PassingFailure, withRetries } from "./retries.ts";
import type { Digest } from "./verify-file.ts";

/** One file to have, and how to know that it is the right one. */
export interface WantedFile {
  readonly url: string;
  /** What messages call it. */
  readonly name: string;
  readonly target: string;
  /** A file of its own; see {@link withFileLock}. */
  readonly lock: string;
  readonly bytes: number;
  readonly digest: Digest;
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Bytes of this file that are there, also while another process brings them. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** A line about something out of the ordinary: a retry, a restart, a wait. */
  readonly onNote?: ((text: string) => void) | undefined;
  /** Failures in a row that end it. */
  readonly failuresMax?: number | undefined;
}

/** What a connection must bring to count as one that works; else it could fail for ever. */
const PROGRESS_BYTES_MIN = 1024 * 1024;

/**
 * Leaves the whole, verified file at its target. Continues what an earlier run left, waits for another process that
 * brings the same file, repeats after cuts and silence. When the signal aborts, what has arrived stays for later.
 * @throws CortexError load_failed for wrong bytes, forbidden, model_not_found, unavailable, does_not_fit (disk full)
 */
export async function downloadFile(
  wanted: WantedFile,
  options: DownloadOptions & { readonly connection: HubConnection },
): Promise<void> {
  if (await isThere(wanted)) return;
  const { connection, signal } = options;
  let waiting = false;
  const onWait = () => {
    if (!waiting) options.onNote?.(`${wanted.name} is being downloaded already: waiting`);
    waiting = true;
    void partBytes(wanted.target).then((bytes) => options.onProgress?.(bytes));
  };
  await withFileLock(
    wanted.lock,
    async () => {
      // Whoever held the lock before may have brought it.
      if (await isThere(wanted)) return;
      const part = await PartFile.open(wanted.target, wanted);
      try {
        await receive(part, { ...options, wanted });
        await part.finish(wanted.name);
      } finally {
        await part.close();
      }
    },
    { clock: connection.clock, signal, onWait },
  );
}

type Receiving = DownloadOptions & {
  readonly connection: HubConnection;
  readonly wanted: WantedFile;
};

async function receive(part: PartFile, options: Receiving): Promise<void> {
  const { wanted, connection, signal } = options;
  if (part.size > 0) options.onNote?.(`${wanted.name} goes on after ${formatBytes(part.size)}`);
  let before = part.size;
  options.onProgress?.(part.size);
  await withRetries(
    async () => {
      before = part.size;
      // A hash is all that is missing of a file that was cut off between its last byte and its name.
      if (part.size < wanted.bytes || wanted.bytes === 0) await receiveOnce(part, options);
    },
    {
      clock: connection.clock,
      signal,
      failuresMax: options.failuresMax,
      hasProgressed: () => part.size - before >= PROGRESS_BYTES_MIN,
      onRetry: (failure, delayMs) =>
        options.onNote?.(`${failure.message}: trying again in ${Math.round(delayMs / 1000)} s`),
    },
  );
}

async function receiveOnce(part: PartFile, options: Receiving): Promise<void> {
  const { wanted, connection, signal } = options;
  const headers: Record<string, string> = {};
  if (part.size > 0) {
    headers["range"] = `bytes=${part.size}-`;
    if (part.etag !== undefined) headers["if-range"] = part.etag;
  }
  const answer = await askHub(connection, { url: wanted.url, headers, signal });
  try {
    checkIdentity(answer, wanted);
    await placeAnswer(part, { answer, options });
    await copyBody(part, { answer, options });
  } finally {
    answer.close();
  }
}

/** The hub says itself which bytes are behind a redirect; others than the listed ones are not even fetched. */
function checkIdentity(answer: HubAnswer, wanted: WantedFile): void {
  const linked = answer.hubHeaders.get("x-linked-etag")?.replace(/^W\//, "").replaceAll('"', "");
  const size = answer.hubHeaders.get("x-linked-size");
  const isOther =
    wanted.digest.algorithm === "sha256" &&
    linked !== undefined &&
    /^[0-9a-f]{64}$/.test(linked) &&
    linked !== wanted.digest.hex;
  if (!isOther && (size === null || Number(size) === wanted.bytes)) return;
  throw new CortexError(
    "load_failed",
    `The hub has another ${wanted.name} now: sha256 ${linked}, ${size} bytes; expected ${wanted.digest.hex}, ${wanted.bytes} bytes`,
    { hint: "the same again, which asks for the list of files anew" },
  );
}

/** 1. the bytes go on where ours end; 2. the whole file, because it changed or there are no ranges; 3. neither. */
async function placeAnswer(
  part: PartFile,
  context: { readonly answer: HubAnswer; readonly options: Receiving },
): Promise<void> {
  const { wanted, onNote } = context.options;
  const { status, headers } = context.answer.response;
  const tag = headers.get("etag") ?? "";
  const etag = isStrongTag(tag) ? tag : undefined;
  // 1.
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    const total = range?.[2] ?? "";
    if (Number(range?.[1]) === part.size && (total === "*" || Number(total) === wanted.bytes)) {
      if (etag !== part.etag) await part.keepTag(etag);
      return;
    }
    await part.restart(undefined);
    throw new PassingFailure(
      `${wanted.name} came with the range '${headers.get("content-range")}'`,
    );
  }
  // 2.
  if (status === 200) {
    const length = headers.get("content-length");
    if (length !== null && Number(length) !== wanted.bytes) {
      throw new CortexError(
        "load_failed",
        `${wanted.name} comes with ${length} bytes, but the hub lists ${wanted.bytes}`,
      );
    }
    if (part.size > 0) onNote?.(`${wanted.name} starts again: the server sends it whole`);
    await part.restart(etag);
    return;
  }
  // 3. 416: what is here cannot be continued there.
  await part.restart(undefined);
  throw new PassingFailure(`${wanted.name} could not be continued`);
}

async function copyBody(
  part: PartFile,
  context: { readonly answer: HubAnswer; readonly options: Receiving },
): Promise<void> {
  const { answer, options } = context;
  const { wanted } = options;
  for (let piece = await answer.read(); piece !== undefined; piece = await answer.read()) {
    if (part.size + piece.length > wanted.bytes) {
      await part.restart(undefined);
      throw new CortexError(
        "load_failed",
        `${wanted.name} is longer than its ${wanted.bytes} bytes`,
      );
    }
    try {
      await part.append(piece);
    } catch (error) {
      throw asDiskError(error, wanted.target);
    }
    options.onProgress?.(part.size);
  }
  if (part.size < wanted.bytes) {
    throw new PassingFailure(
      `The connection was cut after ${part.size} of ${wanted.bytes} bytes of ${wanted.name}`,
    );
  }
}

function asDiskError(error: unknown, target: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== "ENOSPC" && code !== "EDQUOT" && code !== "EFBIG") return error;
  return new CortexError("does_not_fit", `The disk is full: cannot write ${target}`, {
    cause: error,
    hint: "make room, then the same again: what has been received is kept",
  });
}

async function isThere(wanted: WantedFile): Promise<boolean> {
  const found = await stat(wanted.target).catch(() => undefined);
  return found !== undefined && found.size === wanted.bytes;
}
