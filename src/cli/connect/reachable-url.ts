import { networkInterfaces } from "node:os";
import { readGatewayUrl } from "../client/client-flags.ts";

/** The gateway is asked at an address of this same machine. */
const ASK_MS = 1_000;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The address for a client's settings, and what to know about it. */
export interface ClientUrl {
  readonly url: string;
  readonly note: string | undefined;
}

/**
 * The address at which a client reaches the gateway: what `given` says, else where the gateway was asked. The latter
 * may be good for this machine alone; then the note names the address for others, if the gateway answers there.
 */
export async function findClientUrl(asked: string, given: string | undefined): Promise<ClientUrl> {
  if (given !== undefined) return { url: readGatewayUrl(given, "--url"), note: undefined };
  const { hostname, port } = new URL(asked);
  if (!LOOPBACK.test(hostname)) return { url: asked, note: undefined };
  const outer = findOuterAddress();
  const other = outer === undefined ? undefined : `http://${outer}${port === "" ? "" : `:${port}`}`;
  const answers = other !== undefined && (await isGateway(other));
  const note = answers
    ? `${asked} is good on this machine alone; for a client elsewhere: --url ${other}`
    : `${asked} is good on this machine alone, and the gateway listens nowhere else: for clients elsewhere ` +
      "set gateway.listen in cortex.toml to 0.0.0.0 and the port";
  return { url: asked, note };
}

function findOuterAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}

async function isGateway(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(ASK_MS) });
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null && "version" in body && "neurons" in body;
  } catch {
    // Nothing listens there, or something else: either way it is no address for a client.
    return false;
  }
}
