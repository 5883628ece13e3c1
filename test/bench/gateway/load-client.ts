/**
 * Load from raw sockets, as a process of its own: `bun load-client.ts
 * '{"port":…,"clients":…,"seconds":…,"stream":…}'`. Prints one line of JSON: {@link LoadResult}.
 */

/** What to send, and for how long. */
export interface LoadPlan {
  readonly port: number;
  readonly clients: number;
  readonly seconds: number;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly paceMs: number;
  /** Each client stops after this many requests; 0 goes on until the time is over. */
  readonly requestsPerClient: number;
  /** What the client speaks; streams alone are read in the second. */
  readonly dialect: "chat" | "messages";
}

/** What came back. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  /** Milliseconds from sending to the first byte of the body. */
  readonly ttftP50Ms: number;
  readonly ttftP99Ms: number;
}

interface Peer {
  sentMs: number;
  first: boolean;
  answered: boolean;
  tail: string;
  ok: boolean;
  done: number;
}

/** Enough of a response's end to recognise it. */
const TAIL_CHARACTERS = 64;

const DIALECTS = {
  chat: { path: "/v1/chat/completions", endMark: "[DONE]" },
  messages: { path: "/v1/messages", endMark: '"message_stop"' },
};

function newPeer(): Peer {
  return { sentMs: 0, first: true, answered: false, tail: "", ok: true, done: 0 };
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

function formatRequest(plan: LoadPlan): Buffer {
  const body = JSON.stringify({
    model: "bench",
    messages: [{ role: "user", content: "Say hello to the sea, please, and be brief about it." }],
    max_tokens: plan.maxTokens,
    ...(plan.paceMs > 0 ? { pace_ms: plan.paceMs } : {}),
    ...(plan.stream ? { stream: true } : {}),
  });
  return Buffer.from(
    `POST ${DIALECTS[plan.dialect].path} HTTP/1.1\r\nHost: 127.0.0.1:${plan.port}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Whether these bytes end the answer; keeps what the next ones need to tell. */
function takeAnswer(peer: Peer, bytes: Buffer, plan: LoadPlan): boolean {
  const end = bytes.toString("latin1", Math.max(0, bytes.length - TAIL_CHARACTERS));
  peer.tail = (peer.tail + end).slice(-TAIL_CHARACTERS);
  return plan.stream ? peer.tail.endsWith("\r\n0\r\n\r\n") : peer.tail.endsWith("}}");
}

async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const request = formatRequest(plan);
  const { endMark } = DIALECTS[plan.dialect];
  const ttfts: number[] = [];
  let requests = 0;
  let errors = 0;
  let running = plan.clients;
  let stopping = false;
  const finished = Promise.withResolvers<void>();
  const leave = (socket: Bun.Socket<Peer>) => {
    socket.data.done = Number.POSITIVE_INFINITY;
    socket.end();
    running -= 1;
    if (running === 0) finished.resolve();
  };
  const send = (socket: Bun.Socket<Peer>) => {
    socket.data.sentMs = performance.now();
    socket.data.first = true;
    socket.data.answered = false;
    socket.data.tail = "";
    socket.write(request);
  };
  const startMs = performance.now();
  for (let client = 0; client < plan.clients; client += 1) {
    Bun.connect<Peer>({
      hostname: "127.0.0.1",
      port: plan.port,
      data: newPeer(),
      socket: {
        open: send,
        data: (socket, bytes) => {
          const peer = socket.data;
          if (peer.first) {
            if (!peer.answered) peer.ok = bytes.toString("latin1", 0, 12) === "HTTP/1.1 200";
            peer.answered = true;
            peer.first = plan.stream && bytes.indexOf("data: ") < 0;
            if (!peer.first) ttfts.push(performance.now() - peer.sentMs);
          }
          if (!takeAnswer(peer, bytes, plan)) return;
          requests += 1;
          if (!peer.ok || (plan.stream && !peer.tail.includes(endMark))) errors += 1;
          peer.done += 1;
          if (stopping || peer.done === plan.requestsPerClient) leave(socket);
          else send(socket);
        },
        close: (socket) => {
          if (socket.data.done === Number.POSITIVE_INFINITY) return;
          errors += 1;
          leave(socket);
        },
      },
    }).catch(() => {
      errors += 1;
      running -= 1;
      if (running === 0) finished.resolve();
    });
  }
  const timer = setTimeout(() => {
    stopping = true;
  }, plan.seconds * 1_000);
  await finished.promise;
  clearTimeout(timer);
  const seconds = (performance.now() - startMs) / 1_000;
  ttfts.sort((a, b) => a - b);
  const [ttftP50Ms, ttftP99Ms] = [percentile(ttfts, 0.5), percentile(ttfts, 0.99)];
  return { requests, errors, seconds, ttftP50Ms, ttftP99Ms };
}

if (import.meta.main) {
  console.log(JSON.stringify(await runLoad(JSON.parse(process.argv[2] ?? "{}"))));
  process.exit(0);
}
