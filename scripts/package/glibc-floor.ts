/** glibc of Enterprise Linux 9, the oldest system that the packages are for. */
export const GLIBC_MAX = "2.34";

const SECTION_VERNEED = 0x6ffffffe;
const CONTAINERFILE = "config/packages/Containerfile";

/**
 * The versions of glibc's symbols that a 64-bit little-endian ELF file needs, ascending. Throws for anything else: what
 * cannot be read must not pass for old enough.
 */
export function readGlibcNeeds(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error("Not a 64-bit little-endian ELF file");
  }
  const sections = readSections(view);
  const needs = sections.find(({ type }) => type === SECTION_VERNEED);
  if (needs === undefined) return [];
  const names = sections[needs.link];
  if (names === undefined) throw new Error("The ELF file names no strings for its versions");
  const found = new Set<string>();
  let file = needs.offset;
  for (let files = 0; files < needs.info; files += 1) {
    let entry = file + view.getUint32(file + 8, true);
    const count = view.getUint16(file + 2, true);
    for (let entries = 0; entries < count; entries += 1) {
      const name = readText(bytes, names.offset + view.getUint32(entry + 8, true));
      const version = /^GLIBC_(\d+(?:\.\d+)+)$/.exec(name)?.[1];
      if (version !== undefined) found.add(version);
      entry += view.getUint32(entry + 12, true);
    }
    file += view.getUint32(file + 12, true);
  }
  return [...found].sort(compareVersions);
}

/** Throws when a file needs a newer glibc than `max`, with what to do about it. */
export async function checkGlibc(paths: readonly string[], max: string = GLIBC_MAX): Promise<void> {
  const tooNew: string[] = [];
  for (const path of paths) {
    const newest = readGlibcNeeds(await Bun.file(path).bytes()).at(-1) ?? "0";
    if (compareVersions(newest, max) > 0) tooNew.push(`${path} needs glibc ${newest}`);
  }
  if (tooNew.length === 0) return;
  throw new Error(
    `${tooNew.join("; ")}: the limit is ${max}, which Enterprise Linux 9 has. Build there ` +
      `(podman build --file ${CONTAINERFILE} --output type=local,dest=dist/packages --target packages .), ` +
      "or give --glibc-max to make packages for newer systems alone",
  );
}

/** Less than, equal to or greater than 0, as for sort. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly link: number;
  readonly info: number;
}

/** The section headers, by the layout of Elf64_Shdr. */
function readSections(view: DataView): Section[] {
  const start = Number(view.getBigUint64(0x28, true));
  const size = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      link: view.getUint32(at + 40, true),
      info: view.getUint32(at + 44, true),
    };
  });
}

function readText(bytes: Uint8Array, start: number): string {
  return new TextDecoder().decode(bytes.subarray(start, bytes.indexOf(0, start)));
}
