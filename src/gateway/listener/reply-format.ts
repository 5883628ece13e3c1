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

/** The head of a whole answer with a body of that many bytes. */
export function formatWholeHead(reply: {
  readonly status: number;
  readonly headers: string;
  readonly bodyBytes: number;
  readonly close: boolean;
}): string {
  const start = startOf(reply.status, reply.headers, reply.close);
  if (reply.status === 204 || reply.status === 304) return `${start}\r\n`;
  return `${start}Content-Length: ${reply.bodyBytes}\r\n\r\n`;
}

/** What stands before a chunk of that many bytes; a CRLF follows it. */
export function formatChunkHead(bodyBytes: number): string {
  return `${bodyBytes.toString(16)}\r\n`;
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
