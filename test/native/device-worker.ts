/** The device thread of these tests: opens a device, runs its loop in slices and closes it. */
import { openEngine } from "../../cuda/index.ts";

declare const self: Worker;

interface Order {
  readonly path: string;
  readonly name: string;
  readonly requestsMax?: number;
  readonly kind?: string;
  readonly prepareMs?: number;
}

self.onmessage = (message: MessageEvent<Order>) => {
  const { path, name, requestsMax, kind = "cpu", prepareMs } = message.data;
  const engine = openEngine(path);
  const found = engine.discover().devices.find((device) => device.kind === kind);
  if (found === undefined) throw new Error(`this host reports no device of kind ${kind}`);
  const device = engine.openDevice({
    devices: [found.index],
    name,
    ...(prepareMs === undefined ? {} : { prepare_ms: prepareMs }),
    ...(requestsMax === undefined ? {} : { requests_max: requestsMax }),
  });
  self.postMessage({ opened: device });
  let state = engine.runDevice(device, 50);
  while (state === "again") state = engine.runDevice(device, 50);
  if (state === "stopped") engine.closeDevice(device);
  self.postMessage({ ended: state });
};
