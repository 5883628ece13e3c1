import { StaleLibraryError } from "bun-ffi-cuda-bindings-local";
import { describeError } from "../../base/errors.ts";
import { openLibrary } from "./open-library.ts";

/** What a probe prints, as one line of JSON after {@link PROBE_MARK}. */
export type ProbeReport =
  | {
      readonly ok: true;
      readonly flavour: string;
      readonly backends: readonly string[];
      /** Kinds of the devices found, such as "gpu" and "cpu". */
      readonly deviceKinds: readonly string[];
      readonly devices?: readonly ProbedDevice[];
    }
  | {
      readonly ok: false;
      readonly cause: string;
      /** It is a library of cortex, but of another version of the interface. */
      readonly isStale?: boolean;
    };

/** A device as a probe saw it. */
export interface ProbedDevice {
  readonly name: string;
  readonly description: string;
  readonly memory_total_bytes: number;
  readonly memory_free_bytes: number;
}

/** Sets the report apart from what drivers print by themselves. */
export const PROBE_MARK = "cortex-probe ";

/**
 * Loads a library, looks for devices and prints what it found. Runs in a process of its own, which a bad library may
 * crash. Returns the exit code.
 */
export async function runProbe(path: string): Promise<number> {
  const report = probe(path);
  process.stdout.write(`${PROBE_MARK}${JSON.stringify(report)}\n`);
  return report.ok ? 0 : 1;
}

function probe(path: string): ProbeReport {
  try {
    const engine = openLibrary(path);
    engine.init({ log_level: "error" });
    const { flavour, backends, devices } = engine.discover();
    return {
      ...{ ok: true, flavour, backends },
      deviceKinds: devices.map((device) => device.kind),
      devices: devices.map(({ name, description, memory_total_bytes, memory_free_bytes }) => {
        return { name, description, memory_total_bytes, memory_free_bytes };
      }),
    };
  } catch (error) {
    const isStale = error instanceof StaleLibraryError;
    return { ok: false, cause: describeError(error), ...(isStale ? { isStale } : {}) };
  }
}
