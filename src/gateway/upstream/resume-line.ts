/** The longest id of an event that is sent back: a header's line, not a store. */
const EVENT_ID_CHARACTERS_MAX = 256;
/** What would not end the header's line. */
const EVENT_ID = /^[\x21-\x7e]+$/;

/** The header line that takes up a stream of events after that one; empty for an id that no header may hold. */
export function formatResumeLine(id: string | undefined): string {
  const usable = id !== undefined && id.length <= EVENT_ID_CHARACTERS_MAX && EVENT_ID.test(id);
  return usable ? `Last-Event-ID: ${id}\r\n` : "";
}
