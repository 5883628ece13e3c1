import { CortexError } from "../../base/errors.ts";

/** Every service of `cortex up` listens on this host alone. */
export const LOOPBACK = "127.0.0.1";

/** The port itself when it is free, or a free one for 0. Throws `conflict` with the flag that takes another one. */
export function claimPort(port: number, flag: string): number {
  try {
    const listener = Bun.listen({ hostname: LOOPBACK, port, socket: { data: () => undefined } });
    const claimed = listener.port;
    listener.stop(true);
    return claimed;
  } catch (cause) {
    throw new CortexError("conflict", `Cannot listen on ${LOOPBACK}:${port}`, {
      cause,
      hint: `cortex up ${flag} ${port + 1000}, or stop what uses the port: ss -ltnp | grep ${port}`,
    });
  }
}
