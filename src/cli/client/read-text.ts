import { CortexError, describeError } from "../../base/errors.ts";

/** More than any context holds; a wrong file must not fill the memory. */
export const TEXT_BYTES_MAX = 16 * 1024 * 1024;

/** The text of a file, or with `-` of standard input. Throws `usage` for one that is too long or cannot be read. */
export async function readText(path: string): Promise<string> {
  if (path === "-") return await readStdin();
  try {
    return await readAll(Bun.file(path).stream(), path);
  } catch (cause) {
    if (cause instanceof CortexError) throw cause;
    throw new CortexError("usage", `Cannot read ${path}: ${describeError(cause)}`, { cause });
  }
}

/** All of standard input. Throws `usage` for more than any context holds. */
export async function readStdin(): Promise<string> {
  return await readAll(Bun.stdin.stream(), "standard input");
}

async function readAll(stream: ReadableStream<Uint8Array>, name: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of stream) {
    length += piece.length;
    if (length > TEXT_BYTES_MAX) {
      throw new CortexError(
        "usage",
        `Cannot read ${name}: it has more than ${TEXT_BYTES_MAX} bytes`,
        { hint: "a shorter text" },
      );
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
