import { computed, signal } from "@preact/signals";
import type { ModelView } from "../protocol/feed.ts";
import { openAction } from "./action.ts";
import { Badge } from "./badge.tsx";
import { Disclosure } from "./disclosure.tsx";
import { countThings, formatBytes, formatCount, formatNumber, formatShare } from "./format.ts";
import { ReplicaTable } from "./replica-table.tsx";
import { Search, SectionHead } from "./section-head.tsx";
import { store } from "./store.ts";
import { useGrowth } from "./use-growth.ts";

const filter = signal("");
const showsAll = signal(false);
/** More rows than anybody reads; the search finds the others. */
const ROWS_MAX = 300;
/** Neurons that are named in a row. */
const PLACES_MAX = 3;
/** Rows that are drawn with the fleet, which is above them. */
const ROWS_AT_ONCE = 8;

/** The models to list. */
const listed = computed(() => {
  const wanted = filter.value.toLowerCase();
  const { models, modelIds } = store;
  const ids = (showsAll.value || wanted !== "" ? modelIds : models.keys).value;
  return wanted === "" ? ids : ids.filter((id) => id.toLowerCase().includes(wanted));
});

/** Every model: those in memory, and on demand those on disks alone. */
export function ModelList() {
  const ids = listed.value;
  const drawn = useGrowth(Math.min(ids.length, ROWS_MAX), ROWS_AT_ONCE);
  const count =
    store.models.keys.value.length + (store.gateway.read("gateway")?.absent_models ?? 0);
  return (
    <section id="models" aria-labelledby="models-title">
      <SectionHead id="models" title="Models" count={countThings(count, "model")}>
        <label class="check">
          <input
            type="checkbox"
            checked={showsAll.value}
            onChange={(event) => {
              showsAll.value = event.currentTarget.checked;
            }}
          />
          also those not loaded
        </label>
        <Search label="Find a model" filter={filter} />
      </SectionHead>
      {ids.length === 0 && <NoModels count={count} />}
      {ids.length > 0 && (
        <div class="panel">
          <div class="model titles" aria-hidden="true">
            <span>Model</span>
            <span class="places">Where</span>
            <span class="size">File</span>
            <span class="rate">Speed</span>
            <span class="load">Now</span>
          </div>
          <ul class="rows">
            {ids.slice(0, drawn).map((id) => (
              <ModelRow key={id} id={id} />
            ))}
          </ul>
        </div>
      )}
      {ids.length > ROWS_MAX && (
        <p class="quiet">
          And {formatCount(ids.length - ROWS_MAX)} more: search for a part of the name.
        </p>
      )}
    </section>
  );
}

function NoModels({ count }: { count: number }) {
  if (filter.value !== "") return <p class="empty">No model's name holds “{filter.value}”.</p>;
  if (count === 0) return <p class="empty">No neuron has a model.</p>;
  return <p class="empty">No model is in memory; the first request for one loads it.</p>;
}

function ModelRow({ id }: { id: string }) {
  const model = store.readModel(id);
  if (model === undefined) return null;
  return (
    <li>
      <Disclosure
        summary={
          <span class="model">
            <span class="title">
              <strong>{id}</strong>
              <Badge state={model.state} />
              {model.pinned && <Badge state="pinned" />}
            </span>
            <LoadProgress id={id} model={model} />
            <span class="quiet places">{namePlaces(model)}</span>
            <span class="quiet size">{formatBytes(model.file_bytes)}</span>
            <span class="figure rate">
              <Rate model={model} />
            </span>
            <span class="figure load">{describeLoad(model)}</span>
          </span>
        }
        details={() => <ModelDetails id={id} model={model} />}
      />
    </li>
  );
}

function LoadProgress({ id, model }: { id: string; model: ModelView }) {
  const loading = model.replicas.filter(({ state }) => state === "loading");
  if (loading.length === 0) return null;
  const progress = Math.max(...loading.map((replica) => replica.progress ?? 0));
  const places = loading.slice(0, PLACES_MAX).map(({ neuron }) => neuron);
  return (
    <span class="progress">
      <progress aria-label={`Load of ${id}`} max={1} value={progress} />
      <span class="figure">
        <span class="quiet">{places.join(", ")}</span> {formatShare(progress)}
      </span>
    </span>
  );
}

/** Tokens per second that each of its answers gets, as the fastest neuron measured. */
function Rate({ model }: { model: ModelView }) {
  const rates = model.replicas.map((replica) => replica.decode_tokens_per_second ?? 0);
  const rate = Math.max(0, ...rates);
  if (rate === 0) return null;
  return (
    <>
      {formatNumber(rate)} <span class="quiet">tok/s</span>
    </>
  );
}

function describeLoad({ in_flight, waiting, state }: ModelView): string {
  const parts = [
    ...(in_flight - waiting > 0 ? [`${in_flight - waiting} in flight`] : []),
    ...(waiting > 0 ? [`${waiting} waiting`] : []),
  ];
  return parts.join(", ") || (state === "ready" ? "idle" : "");
}

function namePlaces({ replicas, holders }: ModelView): string {
  // A neuron that is down is said to have it still, on its disk.
  const loaded = replicas.filter(({ state }) => state !== "absent");
  if (loaded.length === 0) return `on disk at ${countThings(holders, "neuron")}`;
  const names = loaded.slice(0, PLACES_MAX).map(({ neuron }) => neuron);
  const more = loaded.length - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}

function ModelDetails({ id, model }: { id: string; model: ModelView }) {
  const facts = [
    model.quantization,
    formatBytes(model.file_bytes),
    `context ${formatCount(model.context)}`,
    `priority ${model.priority}`,
    ...model.aliases.map((alias) => `alias ${alias}`),
  ];
  return (
    <div class="details">
      <p class="quiet">{facts.filter((fact) => fact !== "").join(" · ")}</p>
      {model.replicas.length > 0 && <ReplicaTable id={id} model={model} />}
      {model.loadable && (
        <div class="buttons">
          <button type="button" onClick={() => openAction({ kind: "load", model: id })}>
            Load…
          </button>
        </div>
      )}
    </div>
  );
}
