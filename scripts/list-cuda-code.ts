import { basename } from "node:path";

/** Device code of one kind for one architecture. */
export interface CudaCode {
  /** cubin: machine code, for sm_NN alone; ptx: compiled by the driver of that or a later architecture. */
  readonly kind: "cubin" | "ptx";
  /** Such as 86. */
  readonly arch: number;
  readonly count: number;
}

/** Begins every container of device code that nvcc puts into a binary (FatBinary headers of NVIDIA's open toolkits). */
const MAGIC = Buffer.from([0x50, 0xed, 0x55, 0xba]);
/** Of the container: magic, version and header size of 2 bytes each, size of its entries of 8. */
const CONTAINER_BYTES = 16;
/** Of an entry, as far as it is read here: kind, version, header size, size, ..., architecture. */
const ENTRY_BYTES = 32;
const KINDS = new Map([
  [1, "ptx"],
  [2, "cubin"],
] as const satisfies [number, CudaCode["kind"]][]);

/** Counts the device code in a library's bytes, by kind and architecture. */
export function listCudaCode(library: Buffer): CudaCode[] {
  const counts = new Map<string, number>();
  for (let at = library.indexOf(MAGIC); at >= 0; at = library.indexOf(MAGIC, at + MAGIC.length)) {
    if (at + CONTAINER_BYTES > library.length) break;
    // A reference to a container begins with another magic; four equal bytes in code have no such header.
    if (library.readUInt16LE(at + 6) !== CONTAINER_BYTES) continue;
    const end = at + CONTAINER_BYTES + Number(library.readBigUInt64LE(at + 8));
    if (end > library.length) continue;
    countEntries(library.subarray(at + CONTAINER_BYTES, end), counts);
  }
  return [...counts].sort().map(([name, count]) => {
    const [kind, arch] = name.split(" ") as [CudaCode["kind"], string];
    return { kind, arch: Number(arch), count };
  });
}

function countEntries(entries: Buffer, counts: Map<string, number>): void {
  let at = 0;
  while (at + ENTRY_BYTES <= entries.length) {
    const kind = KINDS.get(entries.readUInt16LE(at) as 1 | 2) ?? "other";
    const name = `${kind} ${entries.readUInt32LE(at + 28)}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const bytes = entries.readUInt32LE(at + 4) + Number(entries.readBigUInt64LE(at + 8));
    if (bytes < ENTRY_BYTES) return;
    at += bytes;
  }
}

if (import.meta.main) {
  const [path] = process.argv.slice(2);
  if (path === undefined) {
    process.stderr.write("Usage: bun scripts/list-cuda-code.ts LIBRARY\n");
    process.exit(2);
  }
  const code = listCudaCode(Buffer.from(await Bun.file(path).bytes()));
  for (const { kind, arch, count } of code) {
    process.stdout.write(`${basename(path)}: ${count} ${kind} of architecture ${arch}\n`);
  }
  if (code.length === 0) {
    process.stderr.write(`${path} holds no CUDA code\n`);
    process.exit(1);
  }
}
