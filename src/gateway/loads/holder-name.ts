import { hostname } from "node:os";

/** A name for this run of the gateway: it tells an operator where it is, and neurons one run from the next. */
export function newHolderName(): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9.-]/g, "-")
    .slice(0, 40);
  return `${host}:${process.pid}:${crypto.randomUUID().slice(0, 8)}`;
}
