import { COMMANDS } from "./cli/commands.ts";
import { runProgram } from "./cli/frame/run-cli.ts";

await runProgram(COMMANDS);
