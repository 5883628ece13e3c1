import { CortexError } from "../base/errors.ts";
import { isGguf } from "./gguf-name.ts";

/** What somebody asked for: files of one repository of the hub. */
export interface HubSource {
  /** `owner/name`. */
  readonly repository: string;
  /** Branch, tag, commit or `refs/pr/N`. */
  readonly revision: string;
  /** A quantization, as the file names carry it. */
  readonly quantization: string | undefined;
  /** A path inside the repository. */
  readonly file: string | undefined;
}

/** The branch that is meant when none is named. */
const REVISION_DEFAULT = "main";
/** Longer ones are no names; also the limit of a request's field. */
export const SOURCE_LENGTH_MAX = 512;
/** The hub's own rule for each half; `--` separates the halves in folder names. */
const NAME = /^(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;
const REVISION = /^[A-Za-z0-9_](?:[A-Za-z0-9._/+-]{0,126}[A-Za-z0-9_+-])?$/;
const QUANTIZATION = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const FORM = "hf:owner/repository, then :QUANTIZATION or /FILE.gguf, with @revision before them";

/**
 * Reads `hf:owner/repository[@revision][:QUANTIZATION | /path/FILE.gguf]`.
 * @throws CortexError invalid_request for anything else: no URLs, no local paths
 */
export function parseHubSource(text: string): HubSource {
  if (!text.startsWith("hf:") || text.length > SOURCE_LENGTH_MAX) throw refuse(text);
  const [, owner = "", name = "", rest = ""] = /^hf:([^/@:]+)\/([^/@:]+)(.*)$/s.exec(text) ?? [];
  if (!NAME.test(owner) || !NAME.test(name)) throw refuse(text);
  const { revision, tail } = splitRevision(rest);
  if (!isRevision(revision)) throw refuse(text);
  const source = { repository: `${owner}/${name}`, revision };
  if (tail === "") return { ...source, quantization: undefined, file: undefined };
  if (tail.startsWith(":")) {
    const quantization = tail.slice(1);
    if (!QUANTIZATION.test(quantization)) throw refuse(text);
    return { ...source, quantization, file: undefined };
  }
  const file = tail.slice(1);
  if (!isRepositoryPath(file) || !isGguf(file)) throw refuse(text);
  return { ...source, quantization: undefined, file };
}

/** The source as one text again; equal sources give equal texts. */
export function formatHubSource(source: HubSource): string {
  const revision = source.revision === REVISION_DEFAULT ? "" : `@${source.revision}`;
  const tail =
    source.file !== undefined
      ? `/${source.file}`
      : source.quantization !== undefined
        ? `:${source.quantization}`
        : "";
  return `hf:${source.repository}${revision}${tail}`;
}

/** The account or organization that owns the repository. */
export function ownerOf(source: HubSource): string {
  return source.repository.slice(0, source.repository.indexOf("/"));
}

/** Whether a path stays inside the folder that it is put under. */
export function isRepositoryPath(path: string): boolean {
  return (
    path.length > 0 &&
    path.length <= SOURCE_LENGTH_MAX &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
    !/[\\\u0000-\u001F\u007F]/.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}

function isRevision(revision: string): boolean {
  return REVISION.test(revision) && isRepositoryPath(revision);
}

/** A revision ends at the colon, or, where a file follows, after its first name (its third one under refs/). */
function splitRevision(rest: string): { readonly revision: string; readonly tail: string } {
  if (!rest.startsWith("@")) return { revision: REVISION_DEFAULT, tail: rest };
  const text = rest.slice(1);
  const colon = text.indexOf(":");
  if (colon >= 0) return { revision: text.slice(0, colon), tail: text.slice(colon) };
  if (!isGguf(text)) return { revision: text, tail: "" };
  const names = text.split("/");
  const revision = names.slice(0, names[0] === "refs" ? 3 : 1).join("/");
  return { revision, tail: text.slice(revision.length) };
}

function refuse(text: string): CortexError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new CortexError("invalid_request", `Cannot read source '${shown}': it must be ${FORM}`, {
    param: "source",
    hint: "cortex pull hf:owner/repository:Q4_K_M",
  });
}
