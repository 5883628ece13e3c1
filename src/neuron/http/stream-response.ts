import { SSE_DONE, SSE_HEADERS } from "../../base/sse.ts";
import type { CallBatch, InferenceCall } from "../requests/inference-call.ts";
import { toErrorEvent } from "./errors.ts";

const KEEP_ALIVE_COMMENT = ": keep-alive\n\n";

/**
 * The answer of a streamed request. `first` is what was ready when the answer began. Bun's direct stream writes
 * without a queue of its own; each flush is awaited, so that a client which reads slowly is waited for.
 */
export function streamResponse(call: InferenceCall, first: CallBatch, requestId: string): Response {
  const stream = new ReadableStream({
    type: "direct",
    async pull(controller: ReadableStreamDirectController) {
      let batch = first;
      try {
        for (;;) {
          const text = formatBatch(batch, call.queuePosition);
          if (text.length > 0) {
            controller.write(text);
            await controller.flush(true);
          }
          if (batch.end !== undefined) break;
          batch = await call.next();
        }
      } finally {
        // The client may be gone before the engine is done; after the last event this changes nothing.
        call.cancel();
        controller.close();
      }
    },
    cancel() {
      call.cancel();
    },
  });
  return new Response(stream, { headers: { ...SSE_HEADERS, "x-request-id": requestId } });
}

/** Chunks are passed on as the engine wrote them; an empty batch is a keep-alive, which says its place in the queue. */
function formatBatch({ chunks, end }: CallBatch, queuePosition: number): string {
  let text = "";
  for (const chunk of chunks) text += `data: ${chunk}\n\n`;
  if (end === undefined) {
    if (text.length > 0) return text;
    return queuePosition > 0 ? `: queued ${queuePosition}\n\n` : KEEP_ALIVE_COMMENT;
  }
  return text + (end.kind === "error" ? toErrorEvent(end.error) : SSE_DONE);
}
