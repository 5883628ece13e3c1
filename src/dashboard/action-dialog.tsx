import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { AdminPlanResponse } from "../protocol/status.ts";
import { type Action, current, nameAction, notice, planAction, runAction } from "./action.ts";
import { formatOr, formatSeconds } from "./format.ts";

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
  const neuron = useSignal<string | undefined>(undefined);
  const force = useSignal(false);
  useEffect(() => {
    element.current?.showModal();
    const left = new AbortController();
    planAction(action, left.signal).then(
      (plans) => {
        plan.value = { state: "known", plans };
      },
      (thrown: unknown) => {
        plan.value = {
          state: "failed",
          why: thrown instanceof Error ? thrown.message : String(thrown),
        };
      },
    );
    return () => left.abort();
  }, []);
  const close = () => {
    current.value = undefined;
  };
  const confirm = () => {
    close();
    void runAction(action, { neuron: neuron.value, force: force.value });
  };
  const { value: known } = plan;
  return (
    <dialog ref={element} aria-labelledby="action-title" onClose={close}>
      <h2 id="action-title">{nameAction(action)}</h2>
      <p>{explain(action)}</p>
      <div aria-live="polite">
        {known.state === "asking" && <p class="quiet">Asking what the router would do …</p>}
        {known.state === "failed" && <p class="cause">No plan: {known.why}</p>}
        {known.state === "known" &&
          known.plans.map((one) => <PlanView key={one.model} plan={one} />)}
      </div>
      {action.kind === "load" && known.state === "known" && (
        <NeuronChoice plans={known.plans} neuron={neuron} />
      )}
      {action.kind === "unload" && <ForceChoice force={force} />}
      <div class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="button" class="act" disabled={known.state === "asking"} onClick={confirm}>
          {nameAction(action)}
        </button>
      </div>
    </dialog>
  );
}

function NeuronChoice(props: {
  plans: readonly AdminPlanResponse[];
  neuron: Signal<string | undefined>;
}) {
  const { plans, neuron } = props;
  const cold = plans.flatMap(({ candidates }) =>
    candidates.filter(({ state }) => state === "absent" || state === "failed"),
  );
  return (
    <label>
      On{" "}
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
    <label>
      <input
        type="checkbox"
        onChange={(event) => {
          force.value = event.currentTarget.checked;
        }}
      />{" "}
      also if it is pinned or its profile keeps it
    </label>
  );
}

function explain(action: Action): string {
  switch (action.kind) {
    case "load":
      return "A request for this model would go as follows; what has to make room is named.";
    case "unload":
      return "Its requests end first, for at most 30 s. Without it requests would go as follows.";
    case "pin":
      return "It then stays in memory whatever else is asked for. Requests go as follows now.";
    case "unpin":
      return "It may then be evicted when memory is short. Requests go as follows now.";
    case "drain":
      return "What is in use there is loaded elsewhere first. Requests for it go as follows now.";
    case "undrain":
      return "It takes requests and loads again.";
  }
}

function PlanView({ plan }: { plan: AdminPlanResponse }) {
  const { choice, candidates, rejected = [] } = plan;
  return (
    <section aria-label={`Plan for ${plan.model}`}>
      <h3>{plan.model}</h3>
      <p>
        {choice === undefined
          ? plan.why
          : `${choice.neuron}, ${choice.reason}, first token in ${formatSeconds(choice.seconds)}`}
      </p>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Neuron</th>
              <th scope="col">State</th>
              <th scope="col">First token</th>
              <th scope="col">What it takes</th>
            </tr>
          </thead>
          <tbody>
            {candidates.map((candidate) => (
              <tr key={candidate.neuron}>
                <th scope="row">{candidate.neuron}</th>
                <td>{candidate.state}</td>
                <td>{formatOr(candidate.seconds, formatSeconds)}</td>
                <td>{describeNeeds(candidate)}</td>
              </tr>
            ))}
            {rejected.map(({ neuron, why }) => (
              <tr key={`rejected ${neuron}`}>
                <th scope="row">{neuron}</th>
                <td colSpan={3}>{why}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function describeNeeds({ why, evicts, fits }: AdminPlanResponse["candidates"][number]): string {
  const parts = [
    fits === "now" ? "fits" : "",
    evicts !== undefined && evicts.length > 0 ? `evicts ${evicts.join(", ")}` : "",
    why ?? "",
  ];
  return parts.filter((part) => part !== "").join("; ") || "–";
}

/** How the last action went. */
export function Notice() {
  const told = notice.value;
  return (
    <div role="status" class={told === undefined ? "notice hidden" : "notice"}>
      {told !== undefined && (
        <>
          <span class={told.failed ? "cause" : undefined}>{told.text}</span>{" "}
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
