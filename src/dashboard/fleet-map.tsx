import { signal } from "@preact/signals";
import type { DeviceView, NeuronView } from "../protocol/feed.ts";
import { openAction } from "./action.ts";
import { Disclosure } from "./disclosure.tsx";
import { formatBytes, formatSeconds, formatShare } from "./format.ts";
import { now, store } from "./store.ts";

const filter = signal("");

/** Every neuron with its devices; details open one by one. */
export function FleetMap() {
  const wanted = filter.value.toLowerCase();
  const names = store.neurons.keys.value.filter((name) => name.toLowerCase().includes(wanted));
  return (
    <section id="fleet" aria-labelledby="fleet-title">
      <div class="bar">
        <h2 id="fleet-title">Fleet</h2>
        <input
          type="search"
          aria-label="Show neurons whose name holds"
          placeholder="neuron"
          value={filter.value}
          onInput={(event) => {
            filter.value = event.currentTarget.value;
          }}
        />
        <span class="quiet">{store.neurons.keys.value.length} neurons</span>
      </div>
      {names.length === 0 && <p class="quiet">No neuron to show.</p>}
      <ul class="cards">
        {names.map((name) => (
          <NeuronCard key={name} name={name} />
        ))}
      </ul>
    </section>
  );
}

function NeuronCard({ name }: { name: string }) {
  const neuron = store.neurons.read(name);
  if (neuron === undefined) return null;
  return (
    <li class="card">
      <Disclosure
        summary={
          <>
            <strong>{name}</strong>
            <span class={`badge ${neuron.state}`}>{neuron.state}</span>
            {neuron.stale && <span class="badge stale">stale</span>}
            {neuron.in_flight > 0 && <span class="count">{neuron.in_flight} in flight</span>}
            {neuron.devices.map((device) => (
              <MemoryBar key={device.index} device={device} />
            ))}
          </>
        }
        details={() => <NeuronDetails name={name} neuron={neuron} />}
      />
    </li>
  );
}

function NeuronDetails({ name, neuron }: { name: string; neuron: NeuronView }) {
  const { state } = neuron;
  const isOut = state === "drained" || state === "draining";
  return (
    <>
      <p class="quiet">
        {neuron.kind === "neuron" ? "" : `${neuron.kind} API · `}
        {neuron.endpoint}
        {neuron.version === undefined ? "" : ` · ${neuron.version}`}
      </p>
      {neuron.cause !== undefined && <p class="cause">{neuron.cause}</p>}
      {neuron.last_seen_ms !== undefined && <LastSeen atMs={neuron.last_seen_ms} />}
      {neuron.devices.map((device) => (
        <DeviceTable key={device.index} device={device} />
      ))}
      <button type="button" onClick={() => openAction({ kind: "drain", neuron: name })}>
        Drain…
      </button>{" "}
      {isOut && (
        <button type="button" onClick={() => openAction({ kind: "undrain", neuron: name })}>
          Undrain…
        </button>
      )}
    </>
  );
}

function LastSeen({ atMs }: { atMs: number }) {
  if (atMs === 0) return <p class="quiet">It has never answered.</p>;
  return <p class="quiet">Last heard {formatSeconds((now.value - atMs) / 1_000)} ago.</p>;
}

/** What models should take, and what really is used. */
function measure(device: DeviceView) {
  const used = Math.max(0, device.total_bytes - device.free_bytes);
  const expected = device.models.reduce((sum, { bytes }) => sum + bytes, 0);
  return { used, expected };
}

function MemoryBar({ device }: { device: DeviceView }) {
  const { used, expected } = measure(device);
  const total = Math.max(1, device.total_bytes);
  const text = `${device.kind} ${device.index}: ${formatBytes(used)} of ${formatBytes(total)} used`;
  return (
    <span class="memory">
      <span class="quiet">
        {device.index} {device.kind}
        {device.state === "ok" ? "" : ` ${device.state}`}
      </span>
      <meter
        class={device.state === "ok" ? undefined : "bad"}
        aria-label={text}
        title={`${text}, models ${formatBytes(expected)}`}
        min={0}
        max={1}
        value={used / total}
      />
      <span>{formatShare(used / total)}</span>
    </span>
  );
}

function DeviceTable({ device }: { device: DeviceView }) {
  const { used, expected } = measure(device);
  return (
    <>
      <table>
        <caption>
          Device {device.index}: {device.name}
        </caption>
        <tbody>
          {device.models.map(({ model, bytes }) => (
            <tr key={model}>
              <th scope="row">{model}</th>
              <td>{formatBytes(bytes)}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">Models, expected</th>
            <td>{formatBytes(expected)}</td>
          </tr>
          <tr>
            <th scope="row">Used, measured</th>
            <td>{formatBytes(used)}</td>
          </tr>
          <tr>
            <th scope="row">Free</th>
            <td>
              {formatBytes(device.free_bytes)} of {formatBytes(device.total_bytes)}
            </td>
          </tr>
        </tbody>
      </table>
      {device.cause !== undefined && <p class="cause">{device.cause}</p>}
    </>
  );
}
