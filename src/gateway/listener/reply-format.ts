/** The end of a chunked body. */
export const LAST_CHUNK = "0\r\n\r\n";

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  202: "Accepted",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage",
};

let dateSecond = 0;
let dateLine = "";

/** The head of a streamed answer. */
export function formatReplyHead(reply: {
  readonly status: number;
  readonly headers: string;
  readonly chunked: boolean;
  readonly close: boolean;
}): string {
  const encoding = reply.chunked ? "Transfer-Encoding: chunked\r\n" : "";
  return `${startOf(reply.status, reply.headers, reply.close)}${encoding}\r\n`;
}

/** A whole answer as one run of bytes, so that it leaves in one packet where it fits. */
export function formatWhole(reply: {
  readonly status: number;
  readonly headers: string;
  readonly body: Uint8Array | string;
  readonly hasBody: boolean;
  readonly close: boolean;
}): Uint8Array | string {
  const { body, hasBody } = reply;
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const start = startOf(reply.status, reply.headers, reply.close);
  const head =
    reply.status === 204 || reply.status === 304
      ? `${start}\r\n`
      : `${start}Content-Length: ${length}\r\n\r\n`;
  if (!hasBody || length === 0) return head;
  if (typeof body === "string") return head + body;
  const whole = Buffer.allocUnsafe(head.length + length);
  whole.write(head, 0, "latin1");
  whole.set(body, head.length);
  return whole;
}

/** One chunk with its frame. */
export function formatChunk(bytes: Uint8Array | string): Uint8Array {
  const content = typeof bytes === "string" ? Buffer.from(bytes, "utf8") : bytes;
  const size = `${content.length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(size.length + content.length + 2);
  chunk.write(size, 0, "latin1");
  chunk.set(content, size.length);
  chunk[chunk.length - 2] = 13;
  chunk[chunk.length - 1] = 10;
  return chunk;
}

function startOf(status: number, headers: string, close: boolean): string {
  const nowSecond = Math.floor(Date.now() / 1_000);
  if (nowSecond !== dateSecond) {
    dateSecond = nowSecond;
    dateLine = `Date: ${new Date(nowSecond * 1_000).toUTCString()}\r\n`;
  }
  const closing = close ? "Connection: close\r\n" : "";
  return `HTTP/1.1 ${status} ${REASONS[status] ?? "Status"}\r\n${headers}${dateLine}${closing}`;
}
