import { CortexError } from "../../base/errors.ts";

/** Whether an address is the machine's own. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./i.test(address);
}

/** Lets only the machine itself pass: there are no access keys yet that could prove more. */
export function assertLoopback(address: string | undefined): void {
  if (address !== undefined && isLoopback(address)) return;
  throw new CortexError(
    "forbidden",
    `Routes that change state answer to this machine alone, not to ${address ?? "unknown"}`,
  );
}
