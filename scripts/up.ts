import { build } from "./build.ts";

/** `bun run up`: builds cortex and starts `cortex up` with the arguments of this command. */
async function main(): Promise<number> {
  const executable = await build();
  const child = Bun.spawn([executable, "up", ...process.argv.slice(2)], {
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  });
  // A terminal sends Ctrl-C to both processes; only cortex acts on it. A supervisor sends signals to this one alone.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return child.exited;
}

if (import.meta.main) process.exit(await main());
