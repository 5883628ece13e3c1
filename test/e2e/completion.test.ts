import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FakeAdminServer, sampleStatus } from "../cli/fake-admin-server.ts";
import { SHELLS, type Shell, ShellSession } from "./shell-session.ts";

/** Between the parts of a name that bash takes for words of their own. */
const MODEL = "qwen3:8b";
const TAB = "\t";

let gateway: FakeAdminServer;

beforeAll(() => {
  gateway = new FakeAdminServer();
  const status = sampleStatus();
  const [model] = status.models;
  if (model === undefined) throw new Error("The sample has no model");
  const models = [MODEL, "qwen3:0.6b", "$(touch hacked)"].map((id) => ({
    ...{ ...model, id, aliases: [] },
  }));
  gateway.answer("/admin/status", { ...status, models });
});

afterAll(() => gateway.stop());

async function inShell<T>(
  shell: Shell,
  work: (session: ShellSession) => Promise<T>,
  host = gateway.url,
): Promise<T> {
  const session = await ShellSession.start(shell, host);
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

/** A line up to the cursor, what one TAB makes of it. */
const SINGLE: readonly (readonly [string, readonly string[]])[] = [
  ["cortex stat", ["cortex", "status"]],
  ["cortex config sho", ["cortex", "config", "show"]],
  ["cortex neuron rp", ["cortex", "neuron", "rpc"]],
  ["cortex completion fi", ["cortex", "completion", "fish"]],
  ["cortex load --dry", ["cortex", "load", "--dry-run"]],
  ["cortex ls --quie", ["cortex", "ls", "--quiet"]],
  ["cortex gateway --log-level deb", ["cortex", "gateway", "--log-level", "debug"]],
  ["cortex gateway --log-level=deb", ["cortex", "gateway", "--log-level=debug"]],
  ["cortex load qwen3:8", ["cortex", "load", MODEL]],
  ["cortex load -q --neuron b", ["cortex", "load", "-q", "--neuron", "box"]],
  ["cortex drain --dry-run bo", ["cortex", "drain", "--dry-run", "box"]],
  ["cortex gateway --config ./mine", ["cortex", "gateway", "--config", "./mine.toml"]],
];

describe.each(SHELLS.map((shell) => [shell] as const))("%s", (shell) => {
  test.each(SINGLE)("makes one word of %s", async (typed, words) => {
    await inShell(shell, async (session) => {
      await Bun.write(`${session.home}/mine.toml`, "");
      session.type(typed + TAB);
      await session.untilShown(words.at(-1)?.slice(-3) ?? "");
      expect(await session.readWords()).toEqual([...words]);
    });
  });

  test("shows what there is to choose from, and never what a shell would run", async () => {
    await inShell(shell, async (session) => {
      // The first one adds what all have in common.
      session.type(`cortex load ${TAB}${TAB}${TAB}`);
      // Bash lists only the part that differs.
      for (const end of ["0.6b", "8b"]) await session.untilShown(end);
      expect(session.shown).not.toContain("hacked");
    });
  });

  test("shows a command's short and long flags", async () => {
    await inShell(shell, async (session) => {
      session.type(`cortex status -${TAB}${TAB}`);
      for (const flag of ["--watch", "-w", "--json", "--help"]) await session.untilShown(flag);
    });
  });

  test("says nothing where no gateway answers", async () => {
    await inShell(
      shell,
      async (session) => {
        session.type(`cortex load qwen${TAB}`);
        expect(await session.readWords()).toEqual(["cortex", "load", "qwen"]);
        expect(session.shown).not.toMatch(/cannot reach|error/i);
      },
      "http://127.0.0.1:9",
    );
  });
});
