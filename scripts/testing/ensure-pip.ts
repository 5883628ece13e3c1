/**
 * Installs pip where neither the model hub nor pip may be at hand: root on a Debian system, such as a CI container.
 * Elsewhere it does nothing, since the hub usually answers and the model's own error says what is missing.
 */
export async function ensurePip(): Promise<void> {
  const isThere = ["pip3", "pip", "uv"].some((name) => Bun.which(name) !== null);
  if (isThere || process.getuid?.() !== 0 || Bun.which("apt-get") === null) return;
  const install = ["apt-get", "install", "-y", "--no-install-recommends", "python3-pip"];
  // A fresh container has no package lists.
  if (!(await succeeds(install))) {
    await succeeds(["apt-get", "update"]);
    await succeeds(install);
  }
}

async function succeeds(command: readonly string[]): Promise<boolean> {
  process.stdout.write(`${command.join(" ")}\n`);
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return (await child.exited) === 0;
}
