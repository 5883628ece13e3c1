import { CortexError } from "../base/errors.ts";
import { type ModelStatus, type Status, StatusSchema } from "../protocol/status.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { getModel } from "./client/dry-run.ts";
import { formatRequests } from "./client/format-requests.ts";
import { CLIENTS, listClientSettings } from "./connect/client-settings.ts";
import { readNewest, waitForFirstRequest } from "./connect/first-request.ts";
import { findClientUrl } from "./connect/reachable-url.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";

/** `cortex connect CLIENT`: the settings with which a client uses this gateway. */
export const connectCommand = defineCliCommand({
  name: "connect",
  summary: "Print the settings with which a coding agent or SDK uses this gateway",
  details: [
    "Nothing is written. Without --model it is a chat model that is loaded, else any. The key is a\n" +
      "placeholder, for clients that insist on one: put in yours where the gateway, or a proxy before it, wants it.",
  ],
  args: {
    client: { type: "positional", required: true, description: CLIENTS.join(", ") },
    model: { type: "string", valueHint: "MODEL", description: "its id or an alias" },
    url: {
      type: "string",
      valueHint: "URL",
      description: "where the client reaches the gateway; default: where this command asks it",
    },
    wait: { type: "boolean", description: "wait for the client's first request, and report it" },
    ...clientFlags("10"),
  },
  choices: { client: CLIENTS },
  examples: [
    "connect claude-code --wait",
    "connect codex --url http://gateway:31313",
    "connect zed --model qwen3-8b --host http://gateway:31313",
  ],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const name = CLIENTS.find((client) => client === args.client);
    if (name === undefined) {
      throw new CortexError(
        "usage",
        `No settings for ${args.client}: there are ${CLIENTS.join(", ")}`,
        { hint: "cortex connect openai" },
      );
    }
    const client = openClient(args);
    const status = await client.get("/admin/status", StatusSchema);
    const model = args.model ?? chooseModel(status).id;
    const { context, context_train } = getModel(status, model);
    const { url, note } = await findClientUrl(client.url, args.url);
    const gateway = { url, model, context: context || context_train };
    const settings = [...listClientSettings(name, gateway)];
    const { bold } = styleFor(process.stdout);
    const text = settings.map(({ where, text }) => `${bold(`# ${where}`)}\n${text}\n`).join("\n");
    const after = args.wait === true ? await readNewest(client) : 0;
    const data = { client: name, model, settings };
    printAnswer("connect", args, { data, text });
    const tell = (line: string) => void (args.quiet !== true && process.stderr.write(`${line}\n`));
    if (note !== undefined) tell(note);
    if (args.wait !== true) return EXIT.ok;
    tell(`Waiting for the first request of ${name}; Ctrl-C ends`);
    const first = await waitForFirstRequest(client, { name, after });
    const table = `\n${formatRequests([first], styleFor(process.stdout))}\n`;
    printAnswer("connect", args, { data: { ...data, first_request: first }, text: table });
    if (first.outcome === "ok") return EXIT.ok;
    tell(`It failed: cortex explain ${first.id}`);
    return EXIT.failed;
  },
});

/** 1. a chat model that is ready, 2. any that can chat. */
function chooseModel(status: Status): ModelStatus {
  const chats = status.models.filter(({ capabilities }) => capabilities.includes("chat"));
  const chosen = chats.find(({ state }) => state === "ready") ?? chats[0];
  if (chosen !== undefined) return chosen;
  throw new CortexError("model_not_found", "No model can chat: none has a chat template", {
    hint: "cortex pull hf:owner/repository, or --model MODEL",
  });
}
