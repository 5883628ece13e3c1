import { CortexError } from "../base/errors.ts";
import { SHELL_SCRIPTS } from "./completion/shell-scripts.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

const SHELLS = Object.keys(SHELL_SCRIPTS) as (keyof typeof SHELL_SCRIPTS)[];

/** `cortex completion SHELL`: what a shell needs to complete command lines of cortex. */
export const completionCommand = defineCliCommand({
  name: "completion",
  summary: "Print a shell's completion script",
  details: [
    "The script asks this executable at each TAB, so it need not be written anew after an upgrade. Names of models\n" +
      "and neurons come from the gateway of --host or $CORTEX_HOST, where one answers within a second.",
  ],
  args: {
    shell: { type: "positional", required: true, description: SHELLS.join(", ") },
  },
  choices: { shell: SHELLS },
  examples: [
    "completion bash > /etc/bash_completion.d/cortex",
    "completion zsh > ~/.zfunc/_cortex",
    "completion fish > ~/.config/fish/completions/cortex.fish",
  ],
  exits: ["usage"],
  run: async ({ shell }) => {
    const known = SHELLS.find((name) => name === shell);
    if (known === undefined) {
      throw new CortexError("usage", `No completion for ${shell}: there is ${SHELLS.join(", ")}`, {
        hint: "cortex completion bash",
      });
    }
    process.stdout.write(SHELL_SCRIPTS[known]);
    return EXIT.ok;
  },
});
