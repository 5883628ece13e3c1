/**
 * Resolves with the first SIGINT or SIGTERM. A second one ends the process at once with the shell's code for that
 * signal, so that a drain which hangs can be ended by hand.
 */
export function waitForStopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const codes: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 130, SIGTERM: 143 };
    let first = true;
    const onSignal = (signal: NodeJS.Signals) => {
      if (!first) process.exit(codes[signal] ?? 1);
      first = false;
      resolve(signal);
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
