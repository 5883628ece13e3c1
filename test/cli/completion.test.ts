import { expect, test } from "bun:test";
import { runMain } from "./run-main.ts";

/** What bash would offer for a command line whose last word is being typed. */
async function complete(...words: string[]): Promise<string[]> {
  const { stdout } = await runMain(["completion", "bash"]);
  const list = words.map((word) => `'${word}'`).join(" ");
  const script = `${stdout}
COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _cortex; echo "\${COMPREPLY[@]}"`;
  const child = Bun.spawn(["bash", "-c", script], { stdout: "pipe", stderr: "pipe" });
  expect(await new Response(child.stderr).text()).toBe("");
  return (await new Response(child.stdout).text()).trim().split(" ");
}

test("bash completes commands, and flags of commands and aliases", async () => {
  expect(await complete("cortex", "sta")).toEqual(["status"]);
  expect(await complete("cortex", "load", "--con")).toEqual(["--context"]);
  expect(await complete("cortex", "serve", "--me")).toEqual(["--metrics-listen"]);
  expect(await complete("cortex", "__")).toEqual([""]);
});

test("zsh and fish have scripts of their own, other shells none", async () => {
  expect((await runMain(["completion", "zsh"])).stdout).toStartWith("#compdef cortex\n");
  const fish = (await runMain(["completion", "fish"])).stdout;
  expect(fish).toContain("-a status -d 'Show neurons, devices and loaded models'");
  expect(fish).toContain("'__fish_seen_subcommand_from load' -l context -r");
  const { code, stderr } = await runMain(["completion", "csh"]);
  expect(code).toBe(2);
  expect(stderr).toContain("No completion for csh");
});
