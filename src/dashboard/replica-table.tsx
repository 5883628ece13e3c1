import type { ModelView } from "../protocol/feed.ts";
import type { ReplicaStatus } from "../protocol/status.ts";
import { openAction } from "./action.ts";
import { Badge } from "./badge.tsx";
import { ColumnHeads, type Columns } from "./column-heads.tsx";
import { formatBytes, formatNumber, formatOr, formatShare } from "./format.ts";

const COLUMNS: Columns = [
  ["Neuron", false],
  ["State", false],
  ["Memory", true],
  ["Slots busy", true],
  ["In flight", true],
  ["Tokens/s", true],
  ["Actions", false],
];

/** Where a model is more than a file, and what can be done with it there. */
export function ReplicaTable({ id, model }: { id: string; model: ModelView }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard has to be able to scroll it.
    <section class="scroll" tabIndex={0} aria-label={`Where ${id} is`}>
      <table>
        <ColumnHeads columns={COLUMNS} />
        <tbody>
          {model.replicas.map((replica) => (
            <ReplicaRow key={replica.neuron} id={id} replica={replica} canLoad={model.loadable} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ReplicaRow(props: { id: string; replica: ReplicaStatus; canLoad: boolean }) {
  const { id, replica, canLoad } = props;
  const { neuron, bytes, state, pinned } = replica;
  const target = { model: id, neuron };
  return (
    <tr>
      <th scope="row">{neuron}</th>
      <td>
        <Badge state={state} />
        {pinned && <Badge state="pinned" />}
        {state === "loading" ? ` ${formatShare(replica.progress ?? 0)}` : ""}
        {replica.cause !== undefined && <span class="cause"> {replica.cause}</span>}
      </td>
      <td class="number">
        {formatOr(bytes, ({ weights, context, compute }) =>
          formatBytes(weights + context + compute),
        )}
      </td>
      <td class="number">
        {replica.slots_busy} / {replica.slots}
      </td>
      <td class="number">{replica.in_flight}</td>
      <td class="number">{formatOr(replica.decode_tokens_per_second, formatNumber)}</td>
      <td>
        <div class="buttons">
          {canLoad && state === "ready" && (
            <button
              type="button"
              onClick={() => openAction({ kind: pinned ? "unpin" : "pin", ...target })}
            >
              {pinned ? "Unpin…" : "Pin…"}
            </button>
          )}
          {canLoad && state !== "absent" && (
            <button type="button" onClick={() => openAction({ kind: "unload", ...target })}>
              Unload…
            </button>
          )}
        </div>
      </td>
    </tr>
  );
}
