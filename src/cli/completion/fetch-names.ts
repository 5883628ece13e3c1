import type { Status } from "../../protocol/status.ts";
import type { Candidate, KnownNames } from "./list-candidates.ts";

/** Who presses TAB waits this long for a gateway, and then gets nothing. */
const PATIENCE_SECONDS = "1";
/** More than anybody reads in a terminal. */
const NAMES_MAX = 500;
/** Shells put candidates on the command line as they are, so a name that a shell would expand is none. */
const PLAIN_NAME = /^[\w.:@+,/][\w.:@+,/-]{0,199}$/;

/** The names that the gateway of the command line knows, asked for once and only where they are wanted. */
export function fetchNames(words: readonly string[]): KnownNames {
  let asked: Promise<Status | undefined> | undefined;
  const status = () => {
    asked ??= fetchStatus(readHost(words));
    return asked;
  };
  return {
    models: async () =>
      plain(
        (await status())?.models.flatMap(({ id, aliases, state }) => [
          { value: id, description: state },
          ...aliases.map((alias) => ({ value: alias, description: `alias of ${id}` })),
        ]),
      ),
    neurons: async () =>
      plain(
        (await status())?.neurons.map(({ name, state }) => ({ value: name, description: state })),
      ),
  };
}

function plain(candidates: readonly Candidate[] = []): readonly Candidate[] {
  return candidates.filter(({ value }) => PLAIN_NAME.test(value)).slice(0, NAMES_MAX);
}

/** No gateway, and one that refuses, is no news for somebody who types. */
async function fetchStatus(host: string | undefined): Promise<Status | undefined> {
  try {
    const { openClient } = await import("../client/client-flags.ts");
    const { StatusSchema } = await import("../../protocol/status.ts");
    const client = openClient({ host, timeout: PATIENCE_SECONDS });
    return await client.get("/admin/status", StatusSchema);
  } catch {
    return undefined;
  }
}

function readHost(words: readonly string[]): string | undefined {
  const index = words.indexOf("--host");
  const attached = words.find((word) => word.startsWith("--host="));
  return index < 0 ? attached?.slice("--host=".length) : words[index + 1];
}
