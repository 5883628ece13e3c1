import { CortexError, type ErrorDetails } from "../../base/errors.ts";

/** What the shell gets; scripts and service managers rely on these numbers. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  degraded: 3,
  unreachable: 5,
  doesNotFit: 7,
  interrupted: 130,
} as const;

export type ExitName = keyof typeof EXIT;

/** One line per code, for --help. */
export const EXIT_MEANINGS: Readonly<Record<ExitName, string>> = {
  ok: "done",
  failed: "failed; standard error says why",
  usage: "wrong command line or configuration; nothing was started",
  degraded: "answered, but a neuron is out of reach or a device or model has failed",
  unreachable: "no gateway answers at --host",
  doesNotFit: "the model does not fit into the devices' memory, or onto the disk",
  interrupted: "ended by Ctrl-C",
};

/** No gateway answered, as opposed to a gateway that answered with an error. */
export class UnreachableError extends CortexError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("unavailable", message, details);
  }
}

/** The exit code of whatever was thrown. */
export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof UnreachableError) return EXIT.unreachable;
  if (!(thrown instanceof CortexError)) return EXIT.failed;
  if (thrown.code === "usage" || thrown.code === "invalid_config") return EXIT.usage;
  if (thrown.code === "cancelled") return EXIT.interrupted;
  return thrown.code === "does_not_fit" ? EXIT.doesNotFit : EXIT.failed;
}
