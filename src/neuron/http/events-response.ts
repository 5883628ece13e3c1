import { CortexError } from "../../base/errors.ts";
import { SSE_HEADERS } from "../../base/sse.ts";
import type { EventHub } from "../events/event-hub.ts";

/** The stream of GET /events; ends when the reader leaves or the daemon stops. */
export function eventsResponse(hub: EventHub, { headers, signal }: Request): Response {
  const subscription = hub.subscribe(headers.get("last-event-id") ?? undefined);
  if (subscription === undefined) {
    throw new CortexError("queue_full", "Too many readers of /events", { retryAfterSeconds: 10 });
  }
  const leave = () => hub.unsubscribe(subscription);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const stream = new ReadableStream({
    type: "direct",
    async pull(controller: ReadableStreamDirectController) {
      try {
        for (;;) {
          const text = await subscription.next();
          if (text === undefined) break;
          controller.write(text);
          await controller.flush(true);
        }
      } finally {
        leave();
        controller.close();
      }
    },
    cancel: leave,
  });
  return new Response(stream, { headers: SSE_HEADERS });
}
