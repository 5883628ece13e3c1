import { expect, test } from "bun:test";
import { listCudaCode } from "../../scripts/list-cuda-code.ts";

/** An entry as nvcc writes it: 64 bytes of header and some code. */
function entry(kind: number, arch: number, codeBytes: number): Buffer {
  const bytes = Buffer.alloc(64 + codeBytes);
  bytes.writeUInt16LE(kind, 0);
  bytes.writeUInt32LE(64, 4);
  bytes.writeBigUInt64LE(BigInt(codeBytes), 8);
  bytes.writeUInt32LE(arch, 28);
  return bytes;
}

function container(...entries: Buffer[]): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(16, 6);
  const body = Buffer.concat(entries);
  header.writeBigUInt64LE(BigInt(body.length), 8);
  return Buffer.concat([header, body]);
}

test("device code is counted by kind and architecture over all containers", () => {
  const library = Buffer.concat([
    Buffer.from("ELF and other things"),
    container(entry(1, 86, 40), entry(2, 86, 100)),
    Buffer.alloc(9),
    container(entry(2, 86, 8), entry(2, 120, 8)),
  ]);
  expect(listCudaCode(library)).toEqual([
    { kind: "cubin", arch: 120, count: 1 },
    { kind: "cubin", arch: 86, count: 2 },
    { kind: "ptx", arch: 86, count: 1 },
  ]);
});

test("bytes that look like a container without being one are passed over", () => {
  const cut = container(entry(2, 86, 100)).subarray(0, 60);
  const strange = Buffer.from([0x50, 0xed, 0x55, 0xba, 1, 0, 99, 0]);
  expect(listCudaCode(Buffer.concat([strange, cut]))).toEqual([]);
  expect(listCudaCode(Buffer.from([0x50, 0xed, 0x55, 0xba]))).toEqual([]);
});
