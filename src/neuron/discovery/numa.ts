import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A NUMA node that has CPUs: memory and cores that are close to each other. */
export interface NumaNode {
  readonly node: number;
  readonly cpus: readonly number[];
  readonly memoryTotalBytes: number;
}

/** Where Linux describes its nodes; tests hand in a tree of their own. */
const NODES_FOLDER = "/sys/devices/system/node";
/** More CPUs than Linux supports; a list beyond that is no list of CPUs. */
const CPU_MAX = 8191;

/** The nodes of this host, by number; empty where the kernel does not say. Nodes of memory alone are left out. */
export function readNumaNodes(folder: string = NODES_FOLDER): readonly NumaNode[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => /^node(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
    .map((node) => ({
      node,
      cpus: parseCpuList(readIfThere(join(folder, `node${node}`, "cpulist"))) ?? [],
      memoryTotalBytes: parseMemTotal(readIfThere(join(folder, `node${node}`, "meminfo"))),
    }))
    .filter(({ cpus }) => cpus.length > 0);
}

/** Reads the kernel's form of a set of CPUs, such as "0-3,8,10-11"; undefined when it is none. */
export function parseCpuList(text: string): readonly number[] | undefined {
  const cpus = new Set<number>();
  for (const part of text.trim().split(",")) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last > CPU_MAX) return undefined;
    for (let cpu = first; cpu <= last; cpu += 1) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** The node of a PCI device such as "0000:65:00.0"; undefined where there is only one, or none is known. */
export function findPciNode(pci: string, folder = "/sys/bus/pci/devices"): number | undefined {
  if (!/^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$/.test(pci)) return undefined;
  const text = readIfThere(join(folder, pci.toLowerCase(), "numa_node")).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** "Node 0 MemTotal:  16316412 kB" in bytes; 0 where it is missing. */
function parseMemTotal(text: string): number {
  const match = /MemTotal:\s+(\d+) kB/.exec(text);
  return match === null ? 0 : Number(match[1]) * 1024;
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
