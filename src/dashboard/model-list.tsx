import { computed, signal } from "@preact/signals";
import type { ModelView } from "../protocol/feed.ts";
import type { ReplicaStatus } from "../protocol/status.ts";
import { openAction } from "./action.ts";
import { Disclosure } from "./disclosure.tsx";
import { formatBytes, formatNumber, formatOr, formatShare } from "./format.ts";
import { store } from "./store.ts";

const filter = signal("");
const showsAll = signal(false);
/** More rows than anybody reads; the search finds the others. */
const ROWS_MAX = 300;
const SEPARATOR = "\n";

/** The models to list, as text: it stays the same while only what a row shows changes. */
const listed = computed(() => {
  const wanted = filter.value.toLowerCase();
  const withAbsent = showsAll.value || wanted !== "";
  const ids = store.models.keys.value.filter(
    (id) =>
      id.toLowerCase().includes(wanted) &&
      (withAbsent || store.models.read(id)?.state !== "absent"),
  );
  return ids.join(SEPARATOR);
});

/** Every model: those in memory, and on demand those on disks alone. */
export function ModelList() {
  const ids = listed.value === "" ? [] : listed.value.split(SEPARATOR);
  return (
    <section id="models" aria-labelledby="models-title">
      <div class="bar">
        <h2 id="models-title">Models</h2>
        <input
          type="search"
          aria-label="Show models whose name holds"
          placeholder="model"
          value={filter.value}
          onInput={(event) => {
            filter.value = event.currentTarget.value;
          }}
        />
        <label>
          <input
            type="checkbox"
            checked={showsAll.value}
            onChange={(event) => {
              showsAll.value = event.currentTarget.checked;
            }}
          />{" "}
          also those not loaded
        </label>
        <span class="quiet">{store.models.keys.value.length} models</span>
      </div>
      <ul class="rows">
        {ids.slice(0, ROWS_MAX).map((id) => (
          <ModelRow key={id} id={id} />
        ))}
      </ul>
      {ids.length === 0 && <p class="quiet">No model to show.</p>}
      {ids.length > ROWS_MAX && (
        <p class="quiet">And {ids.length - ROWS_MAX} more: search for a part of the name.</p>
      )}
    </section>
  );
}

function ModelRow({ id }: { id: string }) {
  const model = store.models.read(id);
  if (model === undefined) return null;
  const progress = loadProgress(model);
  return (
    <li class="card">
      <Disclosure
        summary={
          <>
            <strong>{id}</strong>
            <span class={`badge ${model.state}`}>{model.state}</span>
            {model.pinned && <span class="badge">pinned</span>}
            {progress !== undefined && (
              <progress aria-label={`Load of ${id}`} max={1} value={progress}>
                {formatShare(progress)}
              </progress>
            )}
            {model.in_flight > 0 && <span class="count">{model.in_flight} in flight</span>}
            {model.waiting > 0 && <span class="count">{model.waiting} waiting</span>}
            <span class="quiet">
              {model.replicas.map(({ neuron }) => neuron).join(", ") ||
                `on ${model.holders} neurons`}
            </span>
          </>
        }
        details={() => <ModelDetails id={id} model={model} />}
      />
    </li>
  );
}

function loadProgress({ replicas }: ModelView): number | undefined {
  const loading = replicas.filter(({ state }) => state === "loading");
  if (loading.length === 0) return undefined;
  return Math.max(...loading.map(({ progress }) => progress ?? 0));
}

function ModelDetails({ id, model }: { id: string; model: ModelView }) {
  const facts = [
    model.quantization,
    formatBytes(model.file_bytes),
    `context ${model.context}`,
    `priority ${model.priority}`,
    ...model.aliases.map((alias) => `alias ${alias}`),
  ];
  return (
    <>
      <p class="quiet">{facts.filter((fact) => fact !== "").join(" · ")}</p>
      {model.replicas.length > 0 && <ReplicaTable id={id} model={model} />}
      {model.loadable && (
        <button type="button" onClick={() => openAction({ kind: "load", model: id })}>
          Load…
        </button>
      )}
    </>
  );
}

function ReplicaTable({ id, model }: { id: string; model: ModelView }) {
  return (
    <div class="scroll">
      <table>
        <caption>Where it is</caption>
        <thead>
          <tr>
            {["Neuron", "State", "Memory", "Slots", "In flight", "Tokens/s", "Actions"].map(
              (name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {model.replicas.map((replica) => (
            <ReplicaRow key={replica.neuron} id={id} replica={replica} canLoad={model.loadable} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ReplicaRow(props: { id: string; replica: ReplicaStatus; canLoad: boolean }) {
  const { id, replica, canLoad } = props;
  const { neuron, bytes, state, pinned } = replica;
  const target = { model: id, neuron };
  return (
    <tr>
      <th scope="row">{neuron}</th>
      <td title={replica.cause}>
        {state}
        {state === "loading" ? ` ${formatShare(replica.progress ?? 0)}` : ""}
        {replica.cause === undefined ? "" : `: ${replica.cause}`}
      </td>
      <td>
        {bytes === undefined ? "–" : formatBytes(bytes.weights + bytes.context + bytes.compute)}
      </td>
      <td>
        {replica.slots_busy}/{replica.slots}
      </td>
      <td>{replica.in_flight}</td>
      <td>{formatOr(replica.decode_tokens_per_second, formatNumber)}</td>
      <td>
        {canLoad && state === "ready" && (
          <button
            type="button"
            onClick={() => openAction({ kind: pinned ? "unpin" : "pin", ...target })}
          >
            {pinned ? "Unpin…" : "Pin…"}
          </button>
        )}{" "}
        {canLoad && (
          <button type="button" onClick={() => openAction({ kind: "unload", ...target })}>
            Unload…
          </button>
        )}
      </td>
    </tr>
  );
}
