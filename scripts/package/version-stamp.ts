import { VERSION } from "../../src/base/version.ts";
import { run } from "../native-progress.ts";

/** What a package says of the tree that it was built from. */
export interface VersionStamp {
  /** As rpm compares them: an older commit's is less. */
  readonly version: string;
  readonly commit: string;
  /** Seconds since the epoch of that commit, for SOURCE_DATE_EPOCH. */
  readonly epochSeconds: number;
}

/** What git knows of the present commit. */
export interface CommitFacts {
  readonly hash: string;
  readonly epochSeconds: number;
  /** The newest tag vX.Y.Z that leads to it, and the commits since then. */
  readonly tag: { readonly name: string; readonly commitsSince: number } | undefined;
  /** All commits that lead to it. */
  readonly commitCount: number;
  readonly isDirty: boolean;
}

const SHORT_HASH_LENGTH = 8;

/**
 * Names the version of a commit.
 *  1. the release itself at its tag
 *  2. after that tag: `^`, which sorts behind the release
 *  3. without it: `~`, which sorts before the release
 */
export function formatStamp(facts: CommitFacts, release = VERSION): VersionStamp {
  const { hash, epochSeconds, tag, commitCount, isDirty } = facts;
  const isTagged = tag?.name === `v${release}`;
  const date = new Date(epochSeconds * 1000).toISOString().slice(0, 10).replaceAll("-", "");
  const snapshot = `${date}.git${hash.slice(0, SHORT_HASH_LENGTH)}${isDirty ? ".dirty" : ""}`;
  const suffix = isTagged
    ? tag.commitsSince === 0 && !isDirty
      ? ""
      : `^${tag.commitsSince}.${snapshot}`
    : `~${commitCount}.${snapshot}`;
  return { version: `${release}${suffix}`, commit: hash, epochSeconds };
}

/** Asks git about the checkout in that folder. */
export async function readCommitFacts(folder: string): Promise<CommitFacts> {
  const git = async (...args: string[]) =>
    // The owner of a mounted checkout may be another user.
    (await run(["git", "-c", `safe.directory=${folder}`, ...args], { cwd: folder })).trim();
  const [hash, epoch, count, state] = await Promise.all([
    git("rev-parse", "HEAD"),
    git("log", "-1", "--format=%ct"),
    git("rev-list", "--count", "HEAD"),
    git("status", "--porcelain"),
  ]);
  const tags = await git("tag", "--merged", "HEAD", "--sort=-version:refname", "--list", "v[0-9]*");
  const name = tags.split("\n")[0] ?? "";
  const tag =
    name === ""
      ? undefined
      : { name, commitsSince: Number(await git("rev-list", "--count", `${name}..HEAD`)) };
  return {
    hash,
    epochSeconds: Number(epoch),
    tag,
    commitCount: Number(count),
    isDirty: state !== "",
  };
}
