import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPciNode, parseCpuList, readNumaNodes } from "../../../src/neuron/discovery/numa.ts";

let root: string;

/** A tree as the kernel shows it on a board of two sockets with a node of memory alone. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "cortex-numa-"));
  const files = {
    "node/node0/cpulist": "0-3,8-11\n",
    "node/node0/meminfo": "Node 0 MemTotal:       16316412 kB\nNode 0 MemFree:  100 kB\n",
    "node/node10/cpulist": "4-7,12-15\n",
    "node/node10/meminfo": "Node 10 MemTotal:      32 kB\n",
    "node/node2/cpulist": "\n",
    "node/node2/meminfo": "Node 2 MemTotal:       99 kB\n",
    "node/online": "0,2,10\n",
    "pci/0000:65:00.0/numa_node": "10\n",
    "pci/0000:17:00.0/numa_node": "-1\n",
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(root, name, ".."), { recursive: true });
    await Bun.write(join(root, name), text);
  }
});

afterAll(() => rm(root, { recursive: true, force: true }));

describe("NUMA nodes", () => {
  test("are read in the order of their numbers, without those that have no CPUs", () => {
    expect(readNumaNodes(join(root, "node"))).toEqual([
      { node: 0, cpus: [0, 1, 2, 3, 8, 9, 10, 11], memoryTotalBytes: 16_316_412 * 1024 },
      { node: 10, cpus: [4, 5, 6, 7, 12, 13, 14, 15], memoryTotalBytes: 32 * 1024 },
    ]);
  });

  test("are none where the kernel does not say", () => {
    expect(readNumaNodes(join(root, "nothing"))).toEqual([]);
  });

  test("of PCI devices are known where there are several", () => {
    const folder = join(root, "pci");
    expect(findPciNode("0000:65:00.0", folder)).toBe(10);
    expect(findPciNode("0000:17:00.0", folder)).toBeUndefined();
    expect(findPciNode("0000:99:00.0", folder)).toBeUndefined();
    expect(findPciNode("../../etc", folder)).toBeUndefined();
  });
});

test("lists of CPUs are the kernel's or nothing", () => {
  expect(parseCpuList("3,0-1,1")).toEqual([0, 1, 3]);
  for (const text of ["", "a", "3-1", "0-99999", "1,", "-1"]) {
    expect(parseCpuList(text)).toBeUndefined();
  }
});
