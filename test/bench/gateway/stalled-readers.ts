import { type Contender, readRssMb } from "./contenders.ts";

const READERS = 8;
/** Each would get this many chunks of about 190 bytes: 380 MB in all. */
const CHUNKS = 250_000;
const WATCH_MS = 3_000;

function ask(port: number, body: object): string {
  const text = JSON.stringify({ model: "bench", messages: [], stream: true, ...body });
  return (
    `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  );
}

/** Largest memory in MB while eight clients ask for long streams and read nothing. */
export async function measureStalledReaders(contender: Contender): Promise<number> {
  const request = ask(contender.port, { max_tokens: CHUNKS });
  const sockets = await Promise.all(
    Array.from({ length: READERS }, () =>
      Bun.connect({
        hostname: "127.0.0.1",
        port: contender.port,
        socket: {
          open: (socket) => {
            socket.pause();
            socket.write(request);
          },
          data: () => undefined,
        },
      }),
    ),
  );
  let most = 0;
  const endMs = performance.now() + WATCH_MS;
  while (performance.now() < endMs) {
    most = Math.max(most, await readRssMb(contender.pid));
    await Bun.sleep(50);
  }
  for (const socket of sockets) socket.terminate();
  await Bun.sleep(200);
  return most;
}

/** Milliseconds from a client's leaving until the mock's socket closes, median of several. */
export async function measureCancel(contender: Contender, mockPort: number): Promise<number> {
  const taken: number[] = [];
  for (let round = 0; round < 15; round += 1) {
    const first = Promise.withResolvers<void>();
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: contender.port,
      socket: {
        open: (open) => {
          open.write(ask(contender.port, { max_tokens: 100_000, pace_ms: 5 }));
        },
        data: () => first.resolve(),
      },
    });
    await first.promise;
    await Bun.sleep(20);
    const leftMs = performance.timeOrigin + performance.now();
    socket.terminate();
    await Bun.sleep(60);
    const answer = (await (await fetch(`http://127.0.0.1:${mockPort}/bench`)).json()) as {
      last_cut_ms: number;
    };
    taken.push(answer.last_cut_ms - leftMs);
  }
  taken.sort((a, b) => a - b);
  return taken[Math.floor(taken.length / 2)] ?? Number.NaN;
}
