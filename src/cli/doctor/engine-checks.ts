import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CortexError } from "../../base/errors.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { formatBytes } from "../../base/units.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import { findLibrary, type LibrarySearch } from "../../neuron/native/find-library.ts";
import type { ProbedDevice, ProbeReport } from "../../neuron/native/probe.ts";
import { tryLibrary } from "../../neuron/native/try-library.ts";
import { type Finding, fine, problem, skipped } from "./finding.ts";

const LIBRARY = "native library";
const DEVICES = "devices";
const DRIVER = "NVIDIA driver";
/** Less than this is too little for any model that is of use. */
const MEMORY_MIN_BYTES = 1024 ** 3;
const NVIDIA_VENDOR = "0x10de";
/** The packages' flavours, by what nvidia-smi calls compute_cap. */
const FLAVOURS: readonly (readonly [capability: number, flavour: string])[] = [
  [12, "blackwell"],
  [8.9, "ada"],
  [8, "ampere"],
];

/** What of the machine tests replace. */
export interface EngineMachine {
  readonly search?: LibrarySearch;
  readonly tryLibrary: (path: string) => Promise<ProbeReport>;
  /** Where /proc and /sys are. */
  readonly root: string;
  /** Compute capability of the first GPU, such as 8.9; undefined where nobody knows. */
  readonly capability: () => number | undefined;
}

export const THIS_MACHINE: EngineMachine = { tryLibrary, root: "/", capability: askCapability };

/** The library that a neuron would take, the devices that it finds, and whether both suit the GPU's driver. */
export async function checkEngine(
  config: NeuronConfig,
  machine: EngineMachine = THIS_MACHINE,
): Promise<readonly Finding[]> {
  const notes: string[] = [];
  const note = (text: string, fields: Readonly<Record<string, unknown>> = {}) => {
    if (fields["cause"] !== undefined) notes.push(`${text}: ${String(fields["cause"])}`);
    if (fields["rejected"] !== undefined) notes.push(`not taken: ${String(fields["rejected"])}`);
  };
  const log: Log = { ...silentLog, info: note, warn: note };
  let path: string;
  try {
    const { search } = machine;
    path = await findLibrary(config.neuron.library, {
      ...{ log, ...(search === undefined ? {} : { search }) },
    });
  } catch (error) {
    if (!(error instanceof CortexError)) throw error;
    return [problem(LIBRARY, error.message, "sudo dnf install helexa-neuron-cpu")];
  }
  const report = await machine.tryLibrary(path);
  if (!report.ok) return [problem(LIBRARY, `${path}: ${report.cause}`, `ldd ${path}`)];
  const why = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
  return [
    fine(LIBRARY, `${path} loads: ${report.flavour}, ${report.backends.join(", ")}${why}`),
    ...checkDevices(report.devices ?? []),
    await checkDriver(report, { notes, machine }),
  ];
}

function checkDevices(devices: readonly ProbedDevice[]): readonly Finding[] {
  if (devices.length === 0) return [problem(DEVICES, "The library finds none", "cortex neuron")];
  return devices.map(
    ({ name, description, memory_total_bytes: total, memory_free_bytes: free }) => {
      const text = `${name} ${description}: ${formatBytes(free)} of ${formatBytes(total)} free`;
      if (total >= MEMORY_MIN_BYTES) return fine(DEVICES, text);
      return problem(DEVICES, text, /^CPU/i.test(name) ? "ps aux --sort=-rss" : "nvidia-smi");
    },
  );
}

/**
 * 1. no NVIDIA GPU here; 2. a GPU without a driver; 3. a driver, and a library that does not use it; 4. both.
 */
async function checkDriver(
  report: ProbeReport & { readonly ok: true },
  context: { readonly notes: readonly string[]; readonly machine: EngineMachine },
): Promise<Finding> {
  const { machine, notes } = context;
  const driver = await readDriver(machine.root);
  // 1. and 2.
  if (driver === undefined) {
    if (!(await hasGpu(machine.root))) return skipped(DRIVER, "No NVIDIA GPU in this machine");
    return problem(
      DRIVER,
      "There is an NVIDIA GPU, but no driver is loaded",
      "sudo modprobe nvidia",
    );
  }
  // 3.
  if (report.deviceKinds.every((kind) => kind === "cpu")) {
    const why = notes.length === 0 ? "" : `: ${notes.join("; ")}`;
    const capability = machine.capability();
    const [, flavour = "ampere"] =
      FLAVOURS.find(([least]) => capability !== undefined && capability >= least) ?? [];
    const text = `Driver ${driver} is loaded, but the library ${report.flavour} uses no GPU${why}`;
    return problem(DRIVER, text, `sudo dnf install --allowerasing helexa-neuron-${flavour}`);
  }
  // 4.
  return fine(DRIVER, `${driver}, used by the library ${report.flavour}`);
}

async function readDriver(root: string): Promise<string | undefined> {
  // Without the driver there is no such file.
  const text = await Bun.file(join(root, "proc/driver/nvidia/version"))
    .text()
    .catch(() => "");
  return /Kernel Module.*?\s(\d+\.[\d.]+)/.exec(text)?.[1];
}

/** Whether a display controller of NVIDIA is on the PCI bus. */
async function hasGpu(root: string): Promise<boolean> {
  const folder = join(root, "sys/bus/pci/devices");
  // A machine without PCI has no such GPU.
  for (const name of await readdir(folder).catch(() => [])) {
    const read = async (file: string) =>
      (
        await Bun.file(join(folder, name, file))
          .text()
          .catch(() => "")
      ).trim();
    const isGpu = (await read("class")).startsWith("0x03");
    if (isGpu && (await read("vendor")) === NVIDIA_VENDOR) return true;
  }
  return false;
}

function askCapability(): number | undefined {
  if (Bun.which("nvidia-smi") === null) return undefined;
  const command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"];
  const { stdout } = Bun.spawnSync(command, { timeout: 10_000, stderr: "ignore" });
  const capability = Number.parseFloat(stdout.toString());
  return Number.isFinite(capability) ? capability : undefined;
}
