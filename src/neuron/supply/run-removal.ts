import { realpath, rm } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { withFileLock } from "../../hub/file-lock.ts";
import { HubStore, repositoryOfFolder } from "../../hub/hub-store.ts";
import { removePulled } from "../../hub/remove-pulled.ts";
import { isBlob, type RemovalPlan } from "./plan-removal.ts";

/**
 * Removes what the plan names, while no pull decides what to remove or to add. Whoever calls has made sure that nobody
 * has it loaded.
 * @returns the bytes that were freed
 * @throws CortexError conflict while one of the files is being downloaded
 */
export async function runRemoval(
  plan: RemovalPlan,
  options: { readonly store: HubStore; readonly clock: Clock; readonly signal?: AbortSignal },
): Promise<number> {
  const { store } = options;
  const { record } = plan;
  if (record === undefined) return await removeOwn(plan);
  return await withFileLock(store.roomLockPath, () => removePulled(store, record), options);
}

/** A name in a cache of the hub goes with its blob and all other names of that. */
async function removeOwn(plan: RemovalPlan): Promise<number> {
  let freedBytes = 0;
  for (const { path, bytes } of plan.files) {
    const blob = isBlob(path) ? await findBlob(path) : undefined;
    if (blob === undefined) {
      await rm(path);
      freedBytes += bytes;
    } else {
      freedBytes += await new HubStore(blob.root).removeBlob(blob.repository, blob.hash);
    }
  }
  return freedBytes;
}

async function findBlob(path: string) {
  const [, root, folder, hash] =
    /^(.*)\/(models--[^/]+)\/blobs\/([0-9a-f]+)$/.exec(await realpath(path)) ?? [];
  const repository = repositoryOfFolder(folder ?? "");
  if (root === undefined || hash === undefined || repository === undefined) return undefined;
  return { root, repository, hash };
}
