/** A new request id: `req_` and a time-ordered UUID without dashes, unique across hosts. */
export function newRequestId(): string {
  return `req_${Bun.randomUUIDv7("hex").replaceAll("-", "")}`;
}
