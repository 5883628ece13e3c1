import { Value } from "@sinclair/typebox/value";
import { systemClock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import {
  type EventKind,
  LOG_EVENT,
  type LogEvent,
  LogEventSchema,
  MISSED_EVENT,
  MissedEventSchema,
} from "../../protocol/log-events.ts";
import { UnreachableError } from "../frame/exit-codes.ts";
import { toPlainText } from "../frame/plain-text.ts";
import type { Style } from "../frame/style.ts";
import type { AdminClient } from "./admin-client.ts";

/** Pause before a lost stream is taken up again. */
const RETRY_MS = 2_000;

/** Which lines of the log are wanted. */
export interface EventFilter {
  readonly neuron?: string | undefined;
  readonly model?: string | undefined;
  readonly kind?: EventKind | undefined;
  /** Only these levels. */
  readonly levels?: ReadonlySet<LogEvent["level"]> | undefined;
}

export interface FollowOptions {
  /** The neuron whose log it is; the gateway's own where nobody is named. */
  readonly of?: string | undefined;
  readonly filter: EventFilter;
  /** Whether to go on with what comes later, until the signal aborts. */
  readonly follow: boolean;
  /** The id of the last line that is known already. */
  readonly after?: string | undefined;
  readonly signal: AbortSignal;
  readonly onEvent: (event: LogEvent) => void;
  /** Told when lines are missing, or the stream is taken up again. */
  readonly onNote: (text: string) => void;
}

/**
 * Reads the gateway's log, or a neuron's through the gateway, and takes it up again after the last line that came when
 * the connection is lost, as in a restart. Rejects when it cannot be read at first.
 */
export async function followEvents(client: AdminClient, options: FollowOptions): Promise<void> {
  const { follow, signal } = options;
  const state: ReadState = { lastEventId: options.after, isOpen: false };
  for (let wasOpen = false; ; ) {
    try {
      await readStream(client, options, state);
      if (!follow || signal.aborted) return;
    } catch (thrown) {
      if (!(wasOpen || state.isOpen) || !follow || !isPassing(thrown)) throw thrown;
    }
    if (state.isOpen && !signal.aborted) options.onNote("The connection is lost; connecting again");
    wasOpen ||= state.isOpen;
    state.isOpen = false;
    await systemClock.sleep(RETRY_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
  }
}

/** Whether the gateway, or the neuron behind it, is only away. */
function isPassing(thrown: unknown): boolean {
  if (thrown instanceof UnreachableError) return true;
  return thrown instanceof CortexError && ["unavailable", "timeout"].includes(thrown.code);
}

interface ReadState {
  lastEventId: string | undefined;
  /** Whether the stream has begun that is read, or was read last. */
  isOpen: boolean;
}

async function readStream(
  client: AdminClient,
  { of, filter, follow, signal, onEvent, onNote }: FollowOptions,
  state: ReadState,
): Promise<void> {
  const { lastEventId } = state;
  const onOpen = () => {
    state.isOpen = true;
  };
  const place = of === undefined ? "events?" : `logs?neuron=${encodeURIComponent(of)}&`;
  const path = `/admin/${place}follow=${follow}`;
  for await (const { event, data, id } of client.events(path, { signal, lastEventId, onOpen })) {
    const value: unknown = JSON.parse(data);
    if (event === MISSED_EVENT && Value.Check(MissedEventSchema, value)) {
      onNote(`${value.missed} older lines are forgotten`);
    }
    if (event !== LOG_EVENT || !Value.Check(LogEventSchema, value)) continue;
    state.lastEventId = id ?? state.lastEventId;
    if (matches(value, filter)) onEvent(value);
  }
}

function matches({ fields, kind, level }: LogEvent, filter: EventFilter): boolean {
  const { neuron, model, levels } = filter;
  if (filter.kind !== undefined && kind !== filter.kind) return false;
  if (levels !== undefined && !levels.has(level)) return false;
  if (neuron !== undefined && fields["neuron"] !== neuron) return false;
  return model === undefined || fields["model"] === model || fields["for"] === model;
}

/** A line as the role's own log has it. */
export function formatEvent({ at_ms, level, text, fields }: LogEvent, style: Style): string {
  const paint = level === "error" ? style.red : level === "warn" ? style.yellow : style.green;
  const said = Object.entries(fields).map(
    ([name, value]) => ` ${style.dim(`${name}=`)}${plain(value)}`,
  );
  const time = style.dim(new Date(at_ms).toISOString());
  return `${time} ${paint(level.toUpperCase().padEnd(5))} ${plain(text)}${said.join("")}\n`;
}

/** On one line; a cause may quote what others wrote. */
function plain(value: string | number | boolean): string {
  return toPlainText(String(value)).replaceAll("\n", "\\n");
}
