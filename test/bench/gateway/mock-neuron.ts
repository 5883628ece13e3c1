/**
 * A neuron on raw sockets that answers as fast as it can, as a process of its own: `bun mock-neuron.ts
 * <port>`. A chat request gets an answer of one block, or with `"stream":true` `max_tokens` chunks: at once,
 * or one every `pace_ms`. GET /bench/cancels tells when the last stream was cut, in milliseconds since the
 * epoch.
 */
const port = Number(process.argv[2] ?? 4601);
const MODEL = "bench";
const CONTENT = "x".repeat(24);
/** A real neuron writes each token by itself; with that the mock, not the proxy, would be the limit. */
const CHUNKS_PER_WRITE = 4;

const encoder = new TextEncoder();
const chunkText = `data: ${JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion.chunk",
  created: 1,
  model: MODEL,
  choices: [{ index: 0, delta: { content: CONTENT }, finish_reason: null }],
})}\n\n`;
const frame = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const oneFrame = encoder.encode(frame(chunkText));
const manyFrames = encoder.encode(frame(chunkText).repeat(CHUNKS_PER_WRITE));
const usage = { prompt_tokens: 20, completion_tokens: 32, total_tokens: 52 };
const lastFrames = encoder.encode(
  `${frame(`data: ${JSON.stringify({ id: "x", choices: [], usage })}\n\n`)}${frame("data: [DONE]\n\n")}0\r\n\r\n`,
);
const streamHead = encoder.encode(
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
);
const answer = json({
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1,
  model: MODEL,
  choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
  usage,
});

const model = {
  id: MODEL,
  aliases: [],
  state: "ready",
  devices: [0],
  context: 8192,
  slots: 4096,
  bytes: { weights: 1e9, context: 1e8, compute: 1e8 },
  pinned: false,
  in_flight: 0,
  queued: 0,
  slots_busy: 0,
  last_used_ms: 0,
  load_seconds: 1,
  prefill_tokens_per_second: 5000,
  decode_tokens_per_second: 100,
  prompt_tokens: 0,
  cached_prompt_tokens: 0,
  completion_tokens: 0,
  capabilities: ["chat"],
  digest: "",
  file_bytes: 1e9,
  architecture: "mock",
  parameters: 1,
  quantization: "none",
  context_train: 8192,
};
const health = {
  state: "ok",
  protocol: 1,
  version: "0.1.0",
  instance: "bench",
  devices: [
    {
      index: 0,
      kind: "cpu",
      name: "mock",
      compute_capability: null,
      memory_total_bytes: 8e9,
      memory_free_bytes: 6e9,
      state: "ok",
    },
  ],
};
let lastCutMs = 0;

function json(value: unknown): Uint8Array {
  const text = JSON.stringify(value);
  return encoder.encode(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
}

interface State {
  text: string;
  /** Chunks still to send; -1 when no stream runs. */
  left: number;
  paceMs: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  unsent: Uint8Array | undefined;
}
type Peer = Bun.Socket<State>;

function write(socket: Peer, bytes: Uint8Array): boolean {
  const written = Math.max(0, socket.write(bytes));
  if (written === bytes.length) return true;
  socket.data.unsent = bytes.subarray(written);
  return false;
}

/** Sends chunks until the socket is full or, unpaced, one batch for each turn of the loop. */
function pump(socket: Peer): void {
  const state = socket.data;
  if (state.unsent !== undefined || state.left < 0) return;
  if (state.left === 0) {
    state.left = -1;
    write(socket, lastFrames);
    return;
  }
  if (state.paceMs > 0) {
    state.left -= 1;
    write(socket, oneFrame);
    state.timer = setTimeout(pump, state.paceMs, socket);
    return;
  }
  const count = Math.min(CHUNKS_PER_WRITE, state.left);
  state.left -= count;
  const bytes =
    count === CHUNKS_PER_WRITE ? manyFrames : manyFrames.subarray(0, oneFrame.length * count);
  if (write(socket, bytes)) setImmediate(pump, socket);
}

function serve(socket: Peer, head: string, body: string): void {
  const state = socket.data;
  if (head.startsWith("POST /v1/")) {
    if (!body.includes('"stream":true')) {
      write(socket, answer);
      return;
    }
    state.left = Number(/"max_tokens":(\d+)/.exec(body)?.[1] ?? 32);
    state.paceMs = Number(/"pace_ms":(\d+)/.exec(body)?.[1] ?? 0);
    write(socket, streamHead);
    pump(socket);
  } else if (head.startsWith("GET /events")) {
    const event = JSON.stringify({ type: "snapshot", health, models: [model] });
    write(socket, streamHead);
    write(socket, encoder.encode(frame(`event: snapshot\ndata: ${event}\n\n`)));
    const timer = setInterval(() => {
      write(socket, encoder.encode(frame('event: heartbeat\ndata: {"type":"heartbeat"}\n\n')));
    }, 5_000);
    state.timer = timer;
  } else if (head.startsWith("GET /health")) write(socket, json(health));
  else if (head.startsWith("GET /models")) write(socket, json({ models: [model] }));
  else write(socket, json({ last_cut_ms: lastCutMs }));
}

function read(socket: Peer, bytes: Uint8Array): void {
  const state = socket.data;
  state.text += Buffer.from(bytes).toString("latin1");
  for (;;) {
    const headEnd = state.text.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = state.text.slice(0, headEnd);
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const end = headEnd + 4 + length;
    if (state.text.length < end) return;
    const body = state.text.slice(headEnd + 4, end);
    state.text = state.text.slice(end);
    serve(socket, head, body);
  }
}

Bun.listen<State>({
  hostname: "127.0.0.1",
  port,
  socket: {
    open: (socket) => {
      socket.data = { text: "", left: -1, paceMs: 0, timer: undefined, unsent: undefined };
    },
    data: read,
    drain: (socket) => {
      const unsent = socket.data.unsent;
      if (unsent === undefined) return;
      socket.data.unsent = undefined;
      if (write(socket, unsent)) pump(socket);
    },
    close: (socket) => {
      clearTimeout(socket.data.timer);
      if (socket.data.left >= 0) lastCutMs = performance.timeOrigin + performance.now();
      socket.data.left = -1;
    },
  },
});
console.log(`mock neuron on ${port}`);
