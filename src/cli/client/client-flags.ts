import { CortexError } from "../../base/errors.ts";
import { AdminClient } from "./admin-client.ts";

/** Names the gateway where --host does not. */
export const HOST_VARIABLE = "CORTEX_HOST";
const HOST_DEFAULT = "http://127.0.0.1:31313";

/** Flags of every command that talks to a gateway, with how long it waits by default. */
export function clientFlags<const Seconds extends string>(timeoutSeconds: Seconds) {
  return {
    host: {
      type: "string",
      valueHint: "URL",
      description: `the gateway; default: $${HOST_VARIABLE}, else ${HOST_DEFAULT}`,
    },
    timeout: {
      type: "string",
      valueHint: "SECONDS",
      default: timeoutSeconds,
      description: "how long to wait for the answer; 0 waits for ever",
    },
    json: { type: "boolean", description: "print one line of JSON with schema_version" },
    quiet: { type: "boolean", alias: "q", description: "print no text, only errors" },
  } as const;
}

/** The client that the flags and the environment describe. Throws `usage` for an address or a time that is none. */
export function openClient(
  flags: { readonly host?: string | undefined; readonly timeout: string },
  env: Readonly<Record<string, string | undefined>> = process.env,
): AdminClient {
  const host = flags.host ?? (env[HOST_VARIABLE] || HOST_DEFAULT);
  const url = readGatewayUrl(host, "--host");
  const seconds = Number(flags.timeout);
  if (!/^\d{1,6}(\.\d+)?$/.test(flags.timeout)) {
    throw new CortexError("usage", `Cannot read --timeout ${flags.timeout}: it must be seconds`, {
      hint: "--timeout 30",
    });
  }
  return new AdminClient({ url, timeoutMs: seconds * 1000 });
}

/** A gateway's address from a flag, without a path. Throws `usage`. */
export function readGatewayUrl(given: string, flag: string): string {
  const text = /^https?:\/\//.test(given) ? given : `http://${given}`;
  const url = URL.parse(text);
  if (url !== null && url.pathname === "/" && url.search === "") return url.origin;
  throw new CortexError(
    "usage",
    `Cannot read the gateway's address ${given}: it must be http://host:port`,
    { hint: `${flag} ${HOST_DEFAULT}` },
  );
}

/** A whole number from a flag, or undefined where the flag is missing. Throws `usage`. */
export function readWhole(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CortexError("usage", `Cannot read ${flag} ${text}: it must be a whole number from 0`);
}
