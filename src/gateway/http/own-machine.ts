import { hostname } from "node:os";
import type { ByteSpan } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import { listHeaders } from "../listener/request-parser.ts";

/** Who sent a request, as far as its connection and its head tell. */
export interface Caller {
  readonly method: string;
  readonly peerAddress: string;
  /** At which of the machine's addresses it was taken. */
  readonly localAddress: string;
  readonly isHttp10: boolean;
  readonly headerLines: ByteSpan;
}

/** What proxies add, and nobody who asks directly. */
const FORWARDED = /^(forwarded|via|x-forwarded(-.*)?|x-real-ip|x-original-host)$/;
/** As whom the machine is asked by itself; `hostname` because some systems give it 127.0.1.1. */
const OWN_NAMES: ReadonlySet<string> = new Set(["localhost", hostname().toLowerCase()]);
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/**
 * Lets only programs of this machine pass, and its own pages: there are no access keys yet that could prove more.
 * 1. The connection comes from the machine itself. 2. No proxy sent it on, behind which anybody may be. 3. The host
 * that was asked is this machine, or a site whose name was made to point here could read the answer. 4. No other
 * site's page sent it. 5. Its body is declared as JSON, which such a page cannot do without being asked first.
 * `what` begins the error's sentence.
 * @throws CortexError forbidden
 */
export function assertOwnMachine(caller: Caller | undefined, what: string): void {
  const refusal = caller === undefined ? "not to an unknown caller" : findRefusal(caller);
  if (refusal === undefined) return;
  throw new CortexError("forbidden", `${what} to this machine alone, ${refusal}`, {
    hint: "run it on the gateway's own machine",
  });
}

/** Whether an address is one that reaches nobody but the machine itself. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(address);
}

function findRefusal(caller: Caller): string | undefined {
  const { method, peerAddress, localAddress, isHttp10 } = caller;
  if (!isLoopback(peerAddress) && peerAddress !== localAddress) {
    return `not to ${peerAddress}; from elsewhere: ssh -L 31313:localhost:31313 HOST`;
  }
  const headers = readHeaders(caller.headerLines);
  const proxied = [...headers.keys()].find((name) => FORWARDED.test(name));
  const direct = "ask the gateway directly, and let the proxy refuse /admin and /ui";
  if (proxied !== undefined) return `and a proxy sent this on (header ${proxied}): ${direct}`;
  if (isHttp10) return `and HTTP/1.0 is what proxies speak: ${direct}`;
  const host = headers.get("host") ?? "";
  if (!isOwnHost(host, localAddress)) {
    return `and this was asked of host ${quote(host)}: ask http://localhost and the port`;
  }
  const origin = headers.get("origin");
  const site = headers.get("sec-fetch-site") ?? "none";
  const isOwnPage = origin === undefined || origin.toLowerCase() === `http://${host}`.toLowerCase();
  if (!isOwnPage || (site !== "none" && site !== "same-origin")) {
    const page = origin === undefined ? "another site's page" : `a page of ${quote(origin)}`;
    return `and ${page} sent this: open http://${host}/ui by itself`;
  }
  if (method === "POST" && !JSON_TYPE.test(headers.get("content-type") ?? "")) {
    return "with bodies that are declared as JSON: send Content-Type: application/json";
  }
  return undefined;
}

/** By name in lower case; of repeated ones, which nobody honest sends here, all values. */
function readHeaders(headerLines: ByteSpan): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of listHeaders(headerLines)) {
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

/** Names are the machine's own ones; other names could be anybody's. */
function isOwnHost(host: string, localAddress: string): boolean {
  const name = /^(.*?)(:\d{1,5})?$/.exec(host)?.[1]?.toLowerCase() ?? "";
  const bare = name.replace(/^\[(.*)\]$/, "$1");
  return OWN_NAMES.has(bare) || isLoopback(bare) || bare === localAddress.replace(/^::ffff:/i, "");
}

function quote(text: string): string {
  return `'${text.slice(0, 128)}'`;
}
