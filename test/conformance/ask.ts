import { chatDialect } from "./dialects/chat-dialect.ts";
import type { Dialect, DialectError } from "./dialects/dialect.ts";
import { messagesDialect } from "./dialects/messages-dialect.ts";
import { responsesDialect } from "./dialects/responses-dialect.ts";
import { expectOneOf, show } from "./expectations.ts";
import type { Ask, Reply } from "./reply.ts";
import type { Target } from "./target.ts";

/** Those with which one can hold a conversation. */
export const DIALECTS: readonly Dialect[] = [chatDialect, messagesDialect, responsesDialect];

/** Whether an answer comes at once or in pieces. */
export type Mode = "whole" | "streamed";
export const MODES: readonly Mode[] = ["whole", "streamed"];

/** Asks in a dialect and reads the answer, checking its form. */
export async function ask(
  target: Target,
  dialect: Dialect,
  request: Ask & { readonly mode?: Mode },
): Promise<Reply> {
  const { mode = "whole", ...rest } = request;
  return await askBody(target, dialect, { body: dialect.write(rest, target.model), mode });
}

/** The same with a body and headers of the dialect's own. */
export async function askBody(
  target: Target,
  dialect: Dialect,
  request: {
    readonly body: Readonly<Record<string, unknown>>;
    readonly mode?: Mode;
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Promise<Reply> {
  const { body, mode = "whole", path = dialect.path } = request;
  const headers = { ...dialect.headers, ...request.headers };
  if (mode === "whole") return dialect.readWhole(await target.json(path, body, { headers }));
  const options = dialect.name === "chat" ? { stream_options: { include_usage: true } } : {};
  const events = await target.events(path, { ...body, ...options, stream: true }, { headers });
  return dialect.readStream(events);
}

/** Sends what has to be refused: one of those statuses, in the dialect's envelope. */
export async function expectRefusal(
  target: Target,
  dialect: Dialect,
  request: { readonly body: unknown; readonly statuses: readonly number[]; readonly path?: string },
): Promise<DialectError> {
  const { body, statuses, path = dialect.path } = request;
  const answer = await target.send(path, body, { headers: dialect.headers });
  expectOneOf(answer.status, statuses, `Status with ${show(answer.text)}`);
  return dialect.readError(answer);
}
