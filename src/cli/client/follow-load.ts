import { systemClock } from "../../base/clock.ts";
import { type Status, StatusSchema } from "../../protocol/status.ts";
import { type ProgressOutput, ProgressView } from "../frame/progress-view.ts";
import { styleFor } from "../frame/style.ts";
import type { AdminClient } from "./admin-client.ts";

/** Neurons tell of a load's progress about twice a second. */
const POLL_MS = 500;

/**
 * Waits for a load that was asked for and shows meanwhile how far it is: on a terminal alone, for a log has no use for
 * it. A status that does not come hides the bar and nothing else.
 */
export async function followLoad<T>(
  client: AdminClient,
  load: {
    readonly model: string;
    readonly neuron: string | undefined;
    readonly answer: Promise<T>;
    readonly output: ProgressOutput;
  },
): Promise<T> {
  const { output } = load;
  if (output.isTTY !== true) return await load.answer;
  const nowMs = () => systemClock.monotonicMs();
  const view = new ProgressView({ output, style: styleFor(output), nowMs, unit: "share" });
  const ended = new AbortController();
  const watching = watch(client, { ...load, view, signal: ended.signal });
  try {
    return await load.answer;
  } finally {
    ended.abort();
    await watching;
    view.clear();
  }
}

async function watch(
  client: AdminClient,
  options: {
    readonly model: string;
    readonly neuron: string | undefined;
    readonly view: ProgressView;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { view, signal } = options;
  while (!signal.aborted) {
    // The load's own answer says what is wrong with the gateway.
    const status = await ask(client, signal);
    if (status !== undefined && !signal.aborted) {
      const found = findLoad(status, options);
      if (found !== undefined) view.show({ ...found, total: 1 });
    }
    // Only the load's end interrupts the pause.
    await systemClock.sleep(POLL_MS, signal).catch(() => undefined);
  }
}

/** Undefined where it does not come, or where the load ends first. */
async function ask(client: AdminClient, signal: AbortSignal): Promise<Status | undefined> {
  const end = Promise.withResolvers<undefined>();
  const stop = () => end.resolve(undefined);
  signal.addEventListener("abort", stop, { once: true });
  const asked = client.get("/admin/status?models=loaded", StatusSchema).catch(() => undefined);
  const status = await Promise.race([asked, end.promise]);
  signal.removeEventListener("abort", stop);
  return status;
}

/** How far the model's load is; undefined while none runs, such as while another model is evicted for it. */
export function findLoad(
  status: Status,
  wanted: { readonly model: string; readonly neuron: string | undefined },
): { readonly label: string; readonly done: number } | undefined {
  const model = status.models.find(
    ({ id, aliases }) => id === wanted.model || aliases.includes(wanted.model),
  );
  const replica = model?.replicas.find(
    ({ neuron, state }) =>
      state === "loading" && (wanted.neuron === undefined || wanted.neuron === neuron),
  );
  if (model === undefined || replica === undefined) return undefined;
  return { label: `${model.id} on ${replica.neuron}`, done: replica.progress ?? 0 };
}
