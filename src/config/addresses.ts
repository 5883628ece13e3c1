import type { ConfigIssue } from "./check-config.ts";
import type { TomlPath } from "./toml-positions.ts";

const PORT_MAX = 65_535;

/** Splits host:port, as the schemas allow it; brackets around an IPv6 address are dropped. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host, port: Number(address.slice(colon + 1)) };
}

/** What is wrong with a port that five digits can spell; empty when nothing is. */
export function checkPort(path: TomlPath, address: string): readonly ConfigIssue[] {
  const { port } = splitAddress(address);
  if (port <= PORT_MAX) return [];
  return [{ path, at: "value", message: `has port ${port}, but ports go from 0 to ${PORT_MAX}` }];
}

/** Whether two listeners would want the same socket; port 0 takes a free one each time. */
export function isSameSocket(one: string, other: string): boolean {
  const [a, b] = [splitAddress(one), splitAddress(other)];
  if (a.port !== b.port || a.port === 0) return false;
  const all = new Set(["0.0.0.0", "::"]);
  return a.host === b.host || all.has(a.host) || all.has(b.host);
}
