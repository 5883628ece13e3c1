import { CortexError } from "../base/errors.ts";
import { askHub, type HubConnection, readJson } from "./hub-request.ts";
import { isRepositoryPath } from "./hub-source.ts";
import { withRetries } from "./retries.ts";
import type { Digest } from "./verify-file.ts";

/** One file of a repository at one commit. */
export interface HubFile {
  readonly path: string;
  readonly bytes: number;
  /** Of the content: SHA-256 for large files, git's own hash for small ones. */
  readonly digest: Digest;
}

/** A repository's files, pinned to a commit. */
export interface HubListing {
  readonly repository: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

export interface AskOptions {
  readonly signal: AbortSignal;
  readonly failuresMax?: number | undefined;
}

/** A page of the list has 1000 entries at most. */
const PAGES_MAX = 50;
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
/** A model's page with its readme and settings. */
const MODEL_BYTES_MAX = 16 * 1024 * 1024;

/** Asks the hub which files a repository has at a revision. @throws CortexError in words for the user */
export async function listHubFiles(
  connection: HubConnection,
  source: { readonly repository: string; readonly revision: string },
  options: AskOptions,
): Promise<HubListing> {
  const { endpoint } = connection.settings;
  const model = `${endpoint}/api/models/${source.repository}`;
  const url = `${model}/revision/${encodeURIComponent(source.revision)}`;
  const { body } = await ask(connection, url, { ...options, bytesMax: MODEL_BYTES_MAX });
  const commit = readCommit(body, url);
  const files: HubFile[] = [];
  let next: string | undefined = `${model}/tree/${commit}?recursive=true`;
  for (let page = 0; next !== undefined; page += 1) {
    if (page === PAGES_MAX) {
      throw new CortexError(
        "load_failed",
        `${source.repository} has more than ${PAGES_MAX} pages of files`,
      );
    }
    const answer = await ask(connection, next, { ...options, bytesMax: PAGE_BYTES_MAX });
    files.push(...readTree(answer.body, next));
    next = nextPage(answer.headers.get("link"), { current: next, endpoint });
  }
  return { repository: source.repository, commit, files };
}

/** Where a file's bytes are. */
export function fileUrl(
  connection: HubConnection,
  file: { readonly repository: string; readonly commit: string; readonly path: string },
): string {
  const path = file.path.split("/").map(encodeURIComponent).join("/");
  return `${connection.settings.endpoint}/${file.repository}/resolve/${file.commit}/${path}`;
}

async function ask(
  connection: HubConnection,
  url: string,
  options: AskOptions & { readonly bytesMax: number },
): Promise<{ readonly body: unknown; readonly headers: Headers }> {
  const { signal, failuresMax, bytesMax } = options;
  return await withRetries(
    async () => {
      const answer = await askHub(connection, { url, signal });
      return { body: await readJson(answer, bytesMax), headers: answer.response.headers };
    },
    { clock: connection.clock, signal, failuresMax },
  );
}

function readCommit(body: unknown, url: string): string {
  const commit = isRecord(body) ? body["sha"] : undefined;
  // It becomes a folder's name.
  if (typeof commit === "string" && /^[0-9a-f]{40}$/.test(commit)) return commit;
  throw new CortexError("load_failed", `${url} does not say which commit it is`);
}

/** Leaves out folders, and files whose names would leave their folder. */
function readTree(body: unknown, url: string): HubFile[] {
  if (!Array.isArray(body)) {
    throw new CortexError("load_failed", `${url} answered something that is no list of files`);
  }
  return body.flatMap((item: unknown) => {
    if (!isRecord(item) || item["type"] !== "file") return [];
    const { path, size, oid, lfs } = item;
    if (typeof path !== "string" || !isRepositoryPath(path)) return [];
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return [];
    const digest = readDigest(isRecord(lfs) ? lfs["oid"] : undefined, oid);
    return digest === undefined ? [] : [{ path, bytes: size, digest }];
  });
}

function readDigest(lfs: unknown, oid: unknown): Digest | undefined {
  if (typeof lfs === "string" && /^[0-9a-f]{64}$/.test(lfs)) {
    return { algorithm: "sha256", hex: lfs };
  }
  if (lfs === undefined && typeof oid === "string" && /^[0-9a-f]{40}$/.test(oid)) {
    return { algorithm: "git-sha1", hex: oid };
  }
  return undefined;
}

/** The list goes on at the hub itself: the token travels with the question. @throws CortexError load_failed */
function nextPage(
  link: string | null,
  at: { readonly current: string; readonly endpoint: string },
): string | undefined {
  const found = /<([^>]+)>\s*;\s*rel="next"/.exec(link ?? "")?.[1];
  if (found === undefined) return undefined;
  const next = URL.parse(found, at.current);
  if (next?.origin === new URL(at.endpoint).origin) return next.href;
  throw new CortexError("load_failed", `${at.current} goes on at another address: ${next?.host}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
