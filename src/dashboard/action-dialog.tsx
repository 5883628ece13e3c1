import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { AdminPlanResponse } from "../protocol/status.ts";
import {
  current,
  listPlanned,
  nameAction,
  nameKind,
  notice,
  planModels,
  runAction,
} from "./action.ts";
import { type Action, describeAction } from "./describe-action.ts";
import { MovesView, PlanView } from "./plan-view.tsx";
import { store } from "./store.ts";

/** What an action would do, and the button that has it done. */
export function ActionDialog() {
  const action = current.value;
  return action === undefined ? null : <Dialog key={nameAction(action)} action={action} />;
}

type Plan =
  | { readonly state: "asking" }
  | { readonly state: "failed"; readonly why: string }
  | { readonly state: "known"; readonly plans: readonly AdminPlanResponse[] };

function Dialog({ action }: { action: Action }) {
  const element = useRef<HTMLDialogElement>(null);
  const plan = useSignal<Plan>({ state: "asking" });
  const tries = useSignal(0);
  const neuron = useSignal<string | undefined>(undefined);
  const force = useSignal(false);
  const { effects, refusal, objection } = describeAction(action, store);
  useEffect(() => element.current?.showModal(), []);
  const models = listPlanned(action);
  useEffect(() => follow(models, plan), [tries.value, models.join("\n")]);
  // Closed by its own means, so that the focus goes back to where it was.
  const close = () => element.current?.close();
  const confirm = () => {
    close();
    void runAction(action, { neuron: neuron.value, force: force.value });
  };
  const { value: known } = plan;
  const isReady =
    known.state === "known" &&
    refusal === undefined &&
    (objection === undefined || force.value) &&
    canLoad(action, { plans: known.plans, neuron: neuron.value });
  return (
    <dialog
      ref={element}
      aria-labelledby="action-title"
      onClose={() => {
        current.value = undefined;
      }}
    >
      <h2 id="action-title">{nameAction(action)}</h2>
      <Effects effects={effects} />
      {refusal !== undefined && <p class="cause">{refusal}</p>}
      {objection !== undefined && <p class="cause">{objection}</p>}
      <div aria-live="polite">
        <PlanState action={action} plan={known} />
      </div>
      {known.state === "failed" && (
        <button
          type="button"
          onClick={() => {
            tries.value += 1;
          }}
        >
          Ask again
        </button>
      )}
      {action.kind === "load" && known.state === "known" && (
        <NeuronChoice plans={known.plans} neuron={neuron} />
      )}
      {action.kind === "unload" && refusal === undefined && <ForceChoice force={force} />}
      <div class="buttons end">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="button" class="act" disabled={!isReady} onClick={confirm}>
          {nameKind(action)}
        </button>
      </div>
    </dialog>
  );
}

function Effects({ effects }: { effects: readonly string[] }) {
  if (effects.length === 1) return <p>{effects[0]}</p>;
  return (
    <ul class="effects">
      {effects.map((effect) => (
        <li key={effect}>{effect}</li>
      ))}
    </ul>
  );
}

/** Asks for the plan; returns what gives up. */
function follow(models: readonly string[], plan: Signal<Plan>): () => void {
  const left = new AbortController();
  plan.value = { state: "asking" };
  planModels(models, left.signal).then(
    (plans) => {
      plan.value = { state: "known", plans };
    },
    (thrown: unknown) => {
      if (left.signal.aborted) return;
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      plan.value = { state: "failed", why };
    },
  );
  return () => left.abort();
}

/** A load needs a neuron that takes it, unless the operator names one. */
function canLoad(
  { kind }: Action,
  options: { readonly plans: readonly AdminPlanResponse[]; readonly neuron: string | undefined },
): boolean {
  if (kind !== "load" || options.neuron !== undefined) return true;
  return options.plans.every(({ choice }) => choice !== undefined);
}

function PlanState({ action, plan }: { action: Action; plan: Plan }) {
  if (plan.state === "asking") return <p class="quiet">Asking what the router would do …</p>;
  if (plan.state === "failed") return <p class="cause">No plan: {plan.why}</p>;
  if (action.kind === "drain") return <MovesView plans={plan.plans} neuron={action.neuron} />;
  return plan.plans.map((one) => <PlanView key={one.model} plan={one} />);
}

function NeuronChoice(props: {
  plans: readonly AdminPlanResponse[];
  neuron: Signal<string | undefined>;
}) {
  const { plans, neuron } = props;
  const cold = plans.flatMap(({ candidates }) =>
    candidates.filter(
      ({ state, fits }) => fits !== "never" && (state === "absent" || state === "failed"),
    ),
  );
  return (
    <label class="choice-of">
      On
      <select
        onChange={(event) => {
          neuron.value = event.currentTarget.value || undefined;
        }}
      >
        <option value="">the neuron that the gateway picks</option>
        {cold.map((candidate) => (
          <option key={candidate.neuron}>{candidate.neuron}</option>
        ))}
      </select>
    </label>
  );
}

function ForceChoice({ force }: { force: Signal<boolean> }) {
  return (
    <label class="check">
      <input
        type="checkbox"
        onChange={(event) => {
          force.value = event.currentTarget.checked;
        }}
      />
      also if it is pinned or its profile keeps it
    </label>
  );
}

/** How the last action went. */
export function Notice() {
  const told = notice.value;
  return (
    <div role="status" class={told === undefined ? "notice hidden" : "notice"}>
      {told !== undefined && (
        <>
          <span class={told.failed ? "cause" : undefined}>{told.text}</span>
          <button
            type="button"
            onClick={() => {
              notice.value = undefined;
            }}
          >
            Dismiss
          </button>
        </>
      )}
    </div>
  );
}
