import { signal } from "@preact/signals";
import type { AdminPlanResponse } from "../protocol/status.ts";
import { type Action, listUsed } from "./describe-action.ts";
import { store } from "./store.ts";

/** What the operator may set before it is done. */
export interface ActionChoices {
  /** Where to load; undefined lets the gateway choose. */
  readonly neuron: string | undefined;
  /** Also what is pinned, or kept by its profile. */
  readonly force: boolean;
}

/** The action that is being looked at. */
export const current = signal<Action | undefined>(undefined);
/** How the last one went. */
export const notice = signal<{ readonly text: string; readonly failed: boolean } | undefined>(
  undefined,
);

/** Plans of a drain: each is a look at every neuron that has the model. */
const DRAIN_PLANS_MAX = 8;

/** Shows an action, which is done only once the operator has seen what it would do. */
export function openAction(action: Action): void {
  current.value = action;
}

/** The action in words. */
export function nameAction(action: Action): string {
  switch (action.kind) {
    case "load":
      return `Load ${action.model}`;
    case "drain":
    case "undrain":
      return `${nameKind(action)} ${action.neuron}`;
    default: {
      const preposition = action.kind === "unload" ? "from" : "on";
      return `${nameKind(action)} ${action.model} ${preposition} ${action.neuron}`;
    }
  }
}

/** The verb of an action. */
export function nameKind({ kind }: Action): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

/** What the router would do now with the models; changes nothing. */
export async function planModels(
  models: readonly string[],
  signal: AbortSignal,
): Promise<readonly AdminPlanResponse[]> {
  return await Promise.all(
    models.map((model) => post("/admin/plan", { model }, signal) as Promise<AdminPlanResponse>),
  );
}

/** The models that an action sends somewhere. Reads signals. */
export function listPlanned(action: Action): readonly string[] {
  if (action.kind === "load") return [action.model];
  return action.kind === "drain" ? listUsed(action.neuron, store).slice(0, DRAIN_PLANS_MAX) : [];
}

/** Has the action done; what comes of it is told as a notice. */
export async function runAction(action: Action, choices: ActionChoices): Promise<void> {
  const name = nameAction(action);
  notice.value = { text: `${name} …`, failed: false };
  try {
    const [path, body] = toRequest(action, choices);
    await post(path, body);
    notice.value = { text: `${name}: done`, failed: false };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    notice.value = { text: `${name}: ${why}`, failed: true };
  }
}

function toRequest(action: Action, choices: ActionChoices): [path: string, body: object] {
  switch (action.kind) {
    case "load": {
      const { neuron } = choices;
      return ["/admin/load", { model: action.model, ...(neuron === undefined ? {} : { neuron }) }];
    }
    case "unload": {
      const { model, neuron } = action;
      return ["/admin/unload", { model, neuron, ...(choices.force ? { force: true } : {}) }];
    }
    case "pin":
    case "unpin": {
      const { model, neuron, kind } = action;
      return ["/admin/load", { model, neuron, pinned: kind === "pin" }];
    }
    default:
      return [`/admin/${action.kind}`, { neuron: action.neuron }];
  }
}

async function post(path: string, body: object, signal?: AbortSignal): Promise<unknown> {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  const answer: unknown = await response.json();
  if (response.ok) return answer;
  const { error } = answer as { readonly error?: { readonly message?: string } };
  throw new Error(error?.message ?? `the gateway answered ${response.status}`);
}
