import { signal } from "@preact/signals";
import type { NeuronView } from "../protocol/feed.ts";
import { openAction } from "./action.ts";
import { Badge } from "./badge.tsx";
import { Disclosure } from "./disclosure.tsx";
import { countThings, formatAge } from "./format.ts";
import { DeviceTable, MemoryBar } from "./memory-bar.tsx";
import { Search, SectionHead } from "./section-head.tsx";
import { now, store } from "./store.ts";
import { useGrowth } from "./use-growth.ts";

const filter = signal("");
/** About as many as a window shows. */
const CARDS_AT_ONCE = 24;

/** Every neuron with its devices; details open one by one. */
export function FleetMap() {
  const all = store.neurons.keys.value;
  const wanted = filter.value.toLowerCase();
  const names = all.filter((name) => name.toLowerCase().includes(wanted));
  const drawn = useGrowth(names.length, CARDS_AT_ONCE);
  return (
    <section id="fleet" aria-labelledby="fleet-title">
      <SectionHead id="fleet" title="Fleet" count={countThings(all.length, "neuron")}>
        <Search label="Find a neuron" filter={filter} />
      </SectionHead>
      {names.length === 0 && (
        <p class="empty">
          {all.length === 0 ? "No neuron is configured." : `No neuron's name holds “${wanted}”.`}
        </p>
      )}
      <ul class="cards">
        {names.slice(0, drawn).map((name) => (
          <NeuronCard key={name} name={name} />
        ))}
      </ul>
    </section>
  );
}

function NeuronCard({ name }: { name: string }) {
  const neuron = store.neurons.read(name);
  if (neuron === undefined) return null;
  const { state, stale, cause, devices } = neuron;
  return (
    <li class={`card neuron ${state}`}>
      <Disclosure
        summary={
          <>
            <span class="title">
              <strong>{name}</strong>
              <Badge state={state} />
              {stale && state !== "down" && <Badge state="stale" />}
              <span class="end">{describeLoad(neuron)}</span>
            </span>
            {cause !== undefined && <span class="cause">{cause}</span>}
            {neuron.last_seen_ms !== undefined && <LastSeen atMs={neuron.last_seen_ms} />}
            {devices.map((device) => (
              <MemoryBar key={device.index} device={device} />
            ))}
            {devices.length === 0 && (
              <span class="quiet">
                {neuron.kind === "neuron" ? "no devices known" : `an API: ${neuron.kind}`}
              </span>
            )}
          </>
        }
        details={() => <NeuronDetails name={name} neuron={neuron} />}
      />
    </li>
  );
}

function describeLoad({ in_flight, state }: NeuronView): string {
  if (in_flight > 0) return `${in_flight} in flight`;
  return state === "up" ? "idle" : "";
}

function NeuronDetails({ name, neuron }: { name: string; neuron: NeuronView }) {
  const { state } = neuron;
  const isOut = state === "drained" || state === "draining";
  return (
    <div class="details">
      <p class="quiet">
        {neuron.endpoint}
        {neuron.version === undefined ? "" : ` · ${neuron.version}`}
      </p>
      {neuron.devices.map((device) => (
        <DeviceTable key={device.index} device={device} />
      ))}
      <div class="buttons">
        {isOut ? (
          <button type="button" onClick={() => openAction({ kind: "undrain", neuron: name })}>
            Undrain…
          </button>
        ) : (
          <button type="button" onClick={() => openAction({ kind: "drain", neuron: name })}>
            Drain…
          </button>
        )}
      </div>
    </div>
  );
}

function LastSeen({ atMs }: { atMs: number }) {
  if (atMs === 0) return <span class="quiet">has never answered</span>;
  return <span class="quiet">last heard {formatAge((now.value - atMs) / 1_000)} ago</span>;
}
