import type { DeviceView } from "../protocol/feed.ts";
import { colorModels } from "./color-models.ts";
import { formatBytes, formatShare } from "./format.ts";

/** Names beside a bar; the details list them all. */
const NAMES_MAX = 4;
/** Reserves of engine and driver: less than that which no model has is not worth a word. */
const OTHER_SHARE_MIN = 0.02;

/** What models should take of a device by the neuron's figures, and what the device says is used. */
export function measureDevice(device: DeviceView): {
  readonly used: number;
  readonly expected: number;
} {
  const used = Math.max(0, device.total_bytes - device.free_bytes);
  const expected = device.models.reduce((sum, { bytes }) => sum + bytes, 0);
  return { used, expected };
}

/** A device's memory: a segment for each model, one for what else is used, the rest free. */
export function MemoryBar({ device }: { device: DeviceView }) {
  const { used, expected } = measureDevice(device);
  const total = Math.max(1, device.total_bytes, expected);
  const other = Math.max(0, used - expected);
  const colors = colorModels(device.models.map(({ model }) => model));
  const text =
    `Device ${device.index}: ${formatBytes(used)} of ${formatBytes(device.total_bytes)} used, ` +
    `${formatBytes(expected)} by models`;
  return (
    <span class="device">
      <span class="device-head">
        <span>
          <span class="device-name">{device.name}</span>
          {device.state !== "ok" && <span class={`badge ${device.state}`}>{device.state}</span>}
        </span>
        <span class="figure">
          {formatBytes(used)} <span class="quiet">of {formatBytes(device.total_bytes)}</span>
        </span>
      </span>
      <span class="memory" role="img" aria-label={text} title={text}>
        {device.models.map(({ model, bytes }) => (
          <span
            key={model}
            class={`segment ${colors.get(model)}`}
            style={{ width: percent(bytes / total) }}
          />
        ))}
        <span class="segment other" style={{ width: percent(other / total) }} />
      </span>
      <span class="names">
        {device.models.slice(0, NAMES_MAX).map(({ model, bytes }) => (
          <span key={model} class={`swatch ${colors.get(model)}`}>
            <span class="model-name">{model}</span> <span class="quiet">{formatBytes(bytes)}</span>
          </span>
        ))}
        {device.models.length > NAMES_MAX && (
          <span class="quiet">and {device.models.length - NAMES_MAX} more</span>
        )}
        {other / total >= OTHER_SHARE_MIN && (
          <span class="swatch other">
            other <span class="quiet">{formatBytes(other)}</span>
          </span>
        )}
        {device.models.length === 0 && <span class="quiet">no model in memory</span>}
      </span>
    </span>
  );
}

/** Every model and what it has of the device, expected and measured. */
export function DeviceTable({ device }: { device: DeviceView }) {
  const { used, expected } = measureDevice(device);
  const share = (bytes: number) => formatShare(bytes / Math.max(1, device.total_bytes));
  const rows: readonly (readonly [name: string, bytes: number])[] = [
    ["All models, expected", expected],
    ["Used, measured", used],
    ["Free, measured", device.free_bytes],
  ];
  return (
    <>
      <table>
        <caption>
          Device {device.index}, {device.kind}
        </caption>
        <tbody>
          {device.models.map(({ model, bytes }) => (
            <tr key={model}>
              <th scope="row">{model}</th>
              <td class="number">{formatBytes(bytes)}</td>
              <td class="number">{share(bytes)}</td>
            </tr>
          ))}
          {rows.map(([name, bytes]) => (
            <tr key={name} class="sum">
              <th scope="row">{name}</th>
              <td class="number">{formatBytes(bytes)}</td>
              <td class="number">{share(bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {device.cause !== undefined && <p class="cause">{device.cause}</p>}
    </>
  );
}

function percent(share: number): string {
  return `${(Math.min(1, share) * 100).toFixed(2)}%`;
}
