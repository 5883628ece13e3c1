import { splitAddress } from "../../config/addresses.ts";

/** What became of a handshake with an RPC server. */
export type Handshake =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly cause: string };

/** One network's round trips and a busy host; the engine waits as long. */
const HANDSHAKE_MS = 5_000;
/** The first message of ggml's RPC protocol: a command byte, the length of what follows, capabilities of the wire. */
const HELLO_COMMAND = 14;
const CAPABILITY_BYTES = 24;
const LENGTH_BYTES = 8;
const VERSION_BYTES = 4;
const ANSWER_BYTES = LENGTH_BYTES + VERSION_BYTES + CAPABILITY_BYTES;

/**
 * Greets an RPC server and leaves. The engine does the same on a thread that would block, and a server answers one
 * client at a time: so whether it answers is found out here first.
 */
export function shakeHands(endpoint: string, timeoutMs = HANDSHAKE_MS): Promise<Handshake> {
  const { host, port } = splitAddress(endpoint);
  const { promise, resolve } = Promise.withResolvers<Handshake>();
  const fail = (cause: string) => resolve({ ok: false, cause: `RPC server ${endpoint} ${cause}` });
  const deadline = setTimeout(
    () => fail("does not answer: it serves another client, or cannot be reached"),
    timeoutMs,
  );
  let received = Buffer.alloc(0);
  const connected = Bun.connect({
    hostname: host,
    port,
    socket: {
      open: (socket) => {
        socket.write(hello());
      },
      data: (_socket, bytes) => {
        received = Buffer.concat([received, bytes]);
        if (received.length >= ANSWER_BYTES) resolve(readAnswer(received));
      },
      close: () => fail("closed the connection"),
      error: (_socket, error) => fail(`failed: ${error.message}`),
      connectError: (_socket, error) => fail(`cannot be reached: ${error.message}`),
    },
  });
  // A failure to connect is told by connectError, too.
  const close = () => connected.then((socket) => socket.end()).catch(() => undefined);
  return promise.finally(() => {
    clearTimeout(deadline);
    void close();
  });
}

function hello(): Uint8Array {
  const bytes = Buffer.alloc(1 + LENGTH_BYTES + CAPABILITY_BYTES);
  bytes.writeUInt8(HELLO_COMMAND, 0);
  bytes.writeBigUInt64LE(BigInt(CAPABILITY_BYTES), 1);
  return bytes;
}

function readAnswer(bytes: Buffer): Handshake {
  const length = Number(bytes.readBigUInt64LE(0));
  if (length !== VERSION_BYTES + CAPABILITY_BYTES) {
    return { ok: false, cause: "No RPC server: it answers in another protocol" };
  }
  const [major, minor, patch] = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + 3);
  return { ok: true, version: `${major}.${minor}.${patch}` };
}
