import { basename, dirname, join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { downloadFile } from "../../hub/download-file.ts";
import { fileUrl } from "../../hub/hub-api.ts";
import type { HubConnection } from "../../hub/hub-request.ts";
import { type Environment, readHubSettings } from "../../hub/hub-settings.ts";
import { DEFAULT_MODEL } from "./default-model-facts.ts";

/** Where nothing answers, the next source should get its turn soon. */
const HEAD_MS = 10_000;
const SILENCE_MS = 30_000;
/** The other source is tried after the second failure in a row, a second after the first. */
const FAILURES_MAX = 2;

/**
 * Downloads the default model from the Hugging Face hub (or HF_ENDPOINT) to `target`; what an interrupted call has left
 * is continued, and the bytes are verified. @throws CortexError as {@link downloadFile}
 */
export async function downloadFromHub(
  target: string,
  options: {
    readonly tell: (line: string) => void;
    readonly env?: Environment;
    readonly expected?: { readonly sha256: string; readonly bytes: number };
  },
): Promise<void> {
  const connection: HubConnection = {
    settings: await readHubSettings(options.env ?? process.env),
    clock: systemClock,
    timeouts: { headMs: HEAD_MS, silenceMs: SILENCE_MS },
  };
  const { repository, revision, file } = DEFAULT_MODEL;
  const { sha256, bytes } = options.expected ?? DEFAULT_MODEL;
  const tellTenths = tenths(bytes, options.tell);
  await downloadFile(
    {
      url: fileUrl(connection, { repository, commit: revision, path: file }),
      name: file,
      target,
      lock: join(dirname(target), ".locks", `${basename(target)}.hub.lock`),
      bytes,
      digest: { algorithm: "sha256", hex: sha256 },
    },
    {
      connection,
      signal: new AbortController().signal,
      failuresMax: FAILURES_MAX,
      onNote: options.tell,
      onProgress: tellTenths,
    },
  );
}

/** Tells every tenth of the whole, which suits a terminal and a log alike. */
function tenths(total: number, tell: (line: string) => void): (bytes: number) => void {
  let told = 0;
  return (bytes) => {
    const tenth = Math.floor((bytes / total) * 10);
    if (tenth <= told) return;
    told = tenth;
    tell(`${tenth * 10} %`);
  };
}
