/** The device thread of these tests: opens a device, runs its loop in slices and closes it. */
import { openEngine } from "../../cuda/index.ts";

declare const self: Worker;

self.onmessage = (message: MessageEvent<{ path: string; name: string; requestsMax?: number }>) => {
  const { path, name, requestsMax } = message.data;
  const engine = openEngine(path);
  const cpu = engine.discover().devices.find((device) => device.kind === "cpu");
  if (cpu === undefined) throw new Error("this host reports no CPU device");
  const device = engine.openDevice({
    devices: [cpu.index],
    name,
    ...(requestsMax === undefined ? {} : { requests_max: requestsMax }),
  });
  self.postMessage({ opened: device });
  let state = engine.runDevice(device, 50);
  while (state === "again") state = engine.runDevice(device, 50);
  if (state === "stopped") engine.closeDevice(device);
  self.postMessage({ ended: state });
};
