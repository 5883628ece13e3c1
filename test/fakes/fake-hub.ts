import { createHash } from "node:crypto";
import { FakeCdn } from "./fake-cdn.ts";

/** A repository as the fake hub has it. */
interface Repository {
  commit: string;
  readonly files: Map<string, Uint8Array>;
  /** Only this token may read it. */
  readonly token: string | undefined;
}

/** What the hub itself was asked. */
export interface HubRequest {
  readonly path: string;
  readonly authorization: string | undefined;
}

/** The hub's protocol on this machine: models, trees in pages, files by redirect to another port, gates. */
export class FakeHub {
  readonly cdn = new FakeCdn();
  readonly requests: HubRequest[] = [];
  /** Entries of a tree in one answer. */
  pageSize = 1000;
  readonly #repositories = new Map<string, Repository>();
  readonly #refusals: { readonly status: number; readonly retryAfter: string | undefined }[] = [];
  #commits = 0;
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => this.#answer(request),
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Variables that make a client use this hub and nothing of this machine. */
  environment(home: string): Record<string, string> {
    return { HF_ENDPOINT: this.url, HF_HOME: home, HOME: home };
  }

  /** Adds a repository, or commits other files to it. Large-file storage holds every .gguf file. */
  commit(
    repository: string,
    files: Readonly<Record<string, Uint8Array>>,
    options: { readonly token?: string } = {},
  ): string {
    this.#commits += 1;
    const commit = createHash("sha1").update(`commit ${this.#commits}`).digest("hex");
    const token = options.token ?? this.#repositories.get(repository)?.token;
    this.#repositories.set(repository, { commit, files: new Map(Object.entries(files)), token });
    for (const bytes of Object.values(files)) this.cdn.put(cdnPath(bytes), bytes, `cdn-${commit}`);
    return commit;
  }

  /** The next requests to the hub itself are answered so. */
  refuse(status: number, options: { readonly times?: number; readonly retryAfter?: string } = {}) {
    for (let time = 0; time < (options.times ?? 1); time += 1) {
      this.#refusals.push({ status, retryAfter: options.retryAfter });
    }
  }

  async stop(): Promise<void> {
    this.cdn.stop();
    await this.#server.stop(true);
  }

  #answer(request: Request): Response {
    const url = new URL(request.url);
    const authorization = request.headers.get("authorization") ?? undefined;
    this.requests.push({ path: url.pathname + url.search, authorization });
    const refusal = this.#refusals.shift();
    if (refusal !== undefined) {
      const headers: Record<string, string> =
        refusal.retryAfter === undefined ? {} : { "retry-after": refusal.retryAfter };
      return Response.json({ error: "Try later" }, { status: refusal.status, headers });
    }
    const [, id = "", rest = ""] =
      /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(.*)$/.exec(url.pathname) ?? [];
    const found = this.#repositories.get(id);
    if (found === undefined) return refused(401, "RepoNotFound", "Invalid username or password.");
    const denied = checkAccess(found, { id, authorization });
    if (denied !== undefined) return denied;
    if (rest.startsWith("revision/")) return this.#revision(found, rest.slice(9));
    if (rest.startsWith("tree/")) return this.#tree(found, url);
    if (rest.startsWith("resolve/")) return this.#resolve(found, rest);
    return refused(404, "EntryNotFound", "Not found");
  }

  #revision(repository: Repository, revision: string): Response {
    const known = ["main", "refs%2Fpr%2F1", repository.commit];
    if (!known.includes(revision)) return refused(404, "RevisionNotFound", "Invalid rev id");
    return Response.json({ sha: repository.commit, gated: false });
  }

  #tree(repository: Repository, url: URL): Response {
    const start = Number(url.searchParams.get("cursor") ?? 0);
    const entries = [...repository.files].map(([path, bytes]) => describe(path, bytes));
    const headers: Record<string, string> = {};
    if (start + this.pageSize < entries.length) {
      url.searchParams.set("cursor", String(start + this.pageSize));
      headers["link"] = `<${url.href}>; rel="next"`;
    }
    const folder = { type: "directory", oid: "0".repeat(40), size: 0, path: "folder" };
    const page = entries.slice(start, start + this.pageSize);
    return Response.json([folder, ...page], { headers });
  }

  #resolve(repository: Repository, rest: string): Response {
    const [, , ...names] = rest.split("/");
    const bytes = repository.files.get(names.map(decodeURIComponent).join("/"));
    if (bytes === undefined) return refused(404, "EntryNotFound", "Entry not found");
    return new Response(null, {
      status: 302,
      headers: {
        location: `${this.cdn.url}${cdnPath(bytes)}`,
        "x-repo-commit": repository.commit,
        "x-linked-etag": `"${sha256(bytes)}"`,
        "x-linked-size": String(bytes.length),
      },
    });
  }
}

/** Where the server of bytes has a file. */
export function cdnPath(bytes: Uint8Array): string {
  return `/blobs/${sha256(bytes)}`;
}

/** Bytes that differ from place to place and from seed to seed. */
export function patternBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function describe(path: string, bytes: Uint8Array): object {
  const size = bytes.length;
  if (path.endsWith(".gguf")) {
    const lfs = { oid: sha256(bytes), size, pointerSize: 134 };
    return { type: "file", oid: "1".repeat(40), size, lfs, path };
  }
  const oid = createHash("sha1").update(`blob ${size}\0`).update(bytes).digest("hex");
  return { type: "file", oid, size, path };
}

function checkAccess(
  repository: Repository,
  asked: { readonly id: string; readonly authorization: string | undefined },
): Response | undefined {
  if (repository.token === undefined) return undefined;
  if (asked.authorization === `Bearer ${repository.token}`) return undefined;
  const status = asked.authorization === undefined ? 401 : 403;
  return refused(status, "GatedRepo", `Access to model ${asked.id} is restricted.`);
}

function refused(status: number, code: string, message: string): Response {
  const headers = { "x-error-code": code, "x-error-message": message };
  return Response.json({ error: message }, { status, headers });
}
