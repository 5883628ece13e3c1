import type { AdminPlanResponse } from "../protocol/status.ts";
import { ColumnHeads, type Columns } from "./column-heads.tsx";
import { describeMove } from "./describe-action.ts";
import { formatOr, formatSeconds } from "./format.ts";

const COLUMNS: Columns = [
  ["Neuron", false],
  ["State", false],
  ["First token", true],
  ["What it takes", false],
];

/** What the router would do with a request for a model, and why not something else. */
export function PlanView({ plan }: { plan: AdminPlanResponse }) {
  const { choice, candidates, rejected = [] } = plan;
  return (
    <section aria-label={`Plan for ${plan.model}`}>
      <p class={choice === undefined ? "cause" : "choice"}>
        {choice === undefined
          ? plan.why
          : `${choice.neuron}, ${choice.reason}, first token in ${formatSeconds(choice.seconds)}`}
      </p>
      <table>
        <ColumnHeads columns={COLUMNS} />
        <tbody>
          {candidates.map((candidate) => (
            <tr key={candidate.neuron}>
              <th scope="row">{candidate.neuron}</th>
              <td>{candidate.state}</td>
              <td class="number">{formatOr(candidate.seconds, formatSeconds)}</td>
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
    </section>
  );
}

/** Where what is in use on a neuron would be once it is drained. */
export function MovesView(props: { plans: readonly AdminPlanResponse[]; neuron: string }) {
  const { plans, neuron } = props;
  if (plans.length === 0) return <p>No model there is in use or pinned: nothing is moved.</p>;
  return (
    <ul class="effects">
      {plans.map((plan) => (
        <li key={plan.model}>
          <strong>{plan.model}</strong> {describeMove(plan, neuron)}.
        </li>
      ))}
    </ul>
  );
}

function describeNeeds({
  why,
  evicts,
  fits,
  state,
}: AdminPlanResponse["candidates"][number]): string {
  const parts = [
    fits === "now" ? "fits" : "",
    evicts !== undefined && evicts.length > 0 ? `evicts ${evicts.join(", ")}` : "",
    why ?? "",
  ];
  const text = parts.filter((part) => part !== "").join("; ");
  return text || (state === "ready" ? "nothing, it is loaded" : "–");
}
