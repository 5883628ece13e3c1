import { CortexError } from "../base/errors.ts";
import { fileUrl } from "./hub-api.ts";
import { askHub, type HubConnection } from "./hub-request.ts";
import { withRetries } from "./retries.ts";

/**
 * Reads bytes of a file on the hub from `from` up to `to`, which is not included, and no more than those.
 * @throws CortexError in words for the user
 */
export async function readRange(
  connection: HubConnection,
  file: { readonly repository: string; readonly commit: string; readonly path: string },
  range: { readonly from: number; readonly to: number; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const { from, to, signal } = range;
  const url = fileUrl(connection, file);
  const headers = { range: `bytes=${from}-${to - 1}` };
  return await withRetries(
    async () => {
      const answer = await askHub(connection, { url, headers, signal });
      const { status } = answer.response;
      // A server without ranges begins at the beginning.
      let skip = status === 206 ? 0 : from;
      if (status === 416) {
        answer.close();
        throw new CortexError("load_failed", `${url} has no bytes from ${from} on`);
      }
      const bytes = new Uint8Array(to - from);
      let filled = 0;
      while (filled < bytes.length) {
        const piece = await answer.read();
        if (piece === undefined) return bytes.subarray(0, filled);
        const fresh = piece.subarray(Math.min(skip, piece.length));
        skip -= piece.length - fresh.length;
        const taken = fresh.subarray(0, bytes.length - filled);
        bytes.set(taken, filled);
        filled += taken.length;
      }
      answer.close();
      return bytes;
    },
    { clock: connection.clock, signal },
  );
}
