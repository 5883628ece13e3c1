import { isIPv4 } from "node:net";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { splitAddress } from "../../config/addresses.ts";
import { isPublicAddress } from "../media/public-address.ts";
import { findLibrary } from "../native/find-library.ts";
import { openLibrary } from "../native/open-library.ts";

/** What an RPC server is started with. */
export interface RpcServerOptions {
  /** An IPv4 address of a private network with a port, such as 10.0.0.7:13140. */
  readonly listen: string;
  readonly library: string | undefined;
  /** Devices to serve; empty means all but the CPU, or the CPU where there is no other. */
  readonly devices: readonly number[];
  /** CPU threads; the engine's default when left out. */
  readonly threads: number | undefined;
  readonly log: Log;
}

/**
 * Serves this host's devices over ggml's RPC protocol. Blocks this thread for the process's life: signals then end it
 * by their default action, and there is nothing to save.
 * @throws CortexError when the address is not private or is in use, or when the server ends
 */
export async function serveRpc(options: RpcServerOptions): Promise<never> {
  const { listen, log } = options;
  const { host, port } = checkRpcAddress(listen);
  checkFree(host, port);
  const engine = openLibrary(await findLibrary(options.library, { log }));
  engine.init({ log_level: "warn" });
  const all = engine.discover().devices;
  for (const index of options.devices) {
    if (all.some((device) => device.index === index)) continue;
    const known = all.map((device) => `${device.index} (${device.name})`).join(", ");
    throw new CortexError("usage", `No device ${index} here, only ${known}`);
  }
  log.warn(
    "RPC has no authentication and no encryption: whoever reaches this port owns this host",
    {
      listen,
    },
  );
  log.info("The RPC server listens", { url: listen, devices: options.devices.join(",") || "all" });
  engine.serveRpc({
    ...{ host, port, devices: options.devices },
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  });
  throw new CortexError("unavailable", `The RPC server on ${listen} ended`);
}

/** @throws CortexError usage unless it is an explicit IPv4 address of a private network with a port */
export function checkRpcAddress(listen: string): { readonly host: string; readonly port: number } {
  const { host, port } = splitAddress(listen);
  const refuse = (why: string) => {
    throw new CortexError("usage", `Cannot serve RPC on ${listen}: ${why}`, {
      hint: "cortex neuron rpc --listen 10.0.0.7:13140",
    });
  };
  if (!isIPv4(host)) refuse("it must be an IPv4 address of this host with a port");
  if (host === "0.0.0.0")
    refuse("it would be open on every network of this host; name one address");
  if (isPublicAddress(host) || Number(host.split(".")[0]) >= 224) {
    refuse("it is not on a private network, and RPC has no authentication");
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) refuse("ports go from 1 to 65535");
  return { host, port };
}

/** The engine would end without saying why. */
function checkFree(host: string, port: number): void {
  try {
    Bun.listen({ hostname: host, port, socket: { data: () => undefined } }).stop(true);
  } catch (error) {
    throw new CortexError(
      "unavailable",
      `Cannot serve RPC on ${host}:${port}: it cannot be bound`,
      {
        cause: error,
        hint: "Name an address of this host and a port that is free",
      },
    );
  }
}
