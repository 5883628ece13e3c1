import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureSource } from "../../scripts/native-source.ts";
import { SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

type Message = Record<string, unknown>;

const system = (content: unknown): Message => ({ role: "system", content });
const user = (content: unknown): Message => ({ role: "user", content });
const assistant = (content: unknown): Message => ({ role: "assistant", content });
const call = (id: string, args = "{}"): Message => ({
  role: "assistant",
  content: null,
  tool_calls: [{ id, type: "function", function: { name: "look", arguments: args } }],
});
const result = (id: string, content: unknown): Message => ({
  role: "tool",
  tool_call_id: id,
  content,
});

/** What clients really send, by what is unusual in it. Texts are found again in the prompt, in this order. */
const SHAPES: Readonly<Record<string, readonly Message[]>> = {
  "a system message first": [system("Salpha"), user("Ubeta")],
  "several system messages first": [system("Salpha"), system("Sbeta"), user("Ugamma")],
  "a developer message": [{ role: "developer", content: "Salpha" }, user("Ubeta")],
  "a system message after the user's": [user("Ualpha"), system("Sbeta")],
  "a system message in the middle": [
    system("Salpha"),
    user("Ubeta"),
    assistant("Agamma"),
    system("Sdelta"),
    user("Uepsilon"),
  ],
  "a system message between question and answer": [
    user("Ualpha"),
    system("Sbeta"),
    assistant("Agamma"),
    user("Udelta"),
    system("Sepsilon"),
  ],
  "a system message alone": [system("Salpha")],
  "two user messages in a row": [user("Ualpha"), user("Ubeta")],
  "two assistant messages in a row": [
    user("Ualpha"),
    assistant("Abeta"),
    assistant("Agamma"),
    user("Udelta"),
  ],
  "an assistant message first": [assistant("Aalpha"), user("Ubeta")],
  "an assistant message of nothing": [user("Ualpha"), assistant(null), user("Ubeta")],
  "an assistant message of no parts": [user("Ualpha"), assistant([]), user("Ubeta")],
  "parts of text": [
    system([{ type: "text", text: "Salpha" }]),
    user([
      { type: "text", text: "Ubeta" },
      { type: "text", text: "Ugamma" },
    ]),
  ],
  "names of users": [{ role: "user", name: "anna", content: "Ualpha" }],
  "a last message to continue": [user("Ualpha"), assistant("Abeta")],
  "two last messages to continue": [user("Ualpha"), assistant("Abeta"), assistant("Agamma")],
  "nothing but a message to continue": [assistant("Aalpha")],
  "a system message and a message to continue": [system("Salpha"), assistant("Abeta")],
  "a result followed by the user": [
    user("Ualpha"),
    call("c1"),
    result("c1", "Rbeta"),
    user("Ugamma"),
  ],
  "a result followed by the system": [
    user("Ualpha"),
    call("c1"),
    result("c1", "Rbeta"),
    system("Sgamma"),
    user("Udelta"),
  ],
  "arguments that are no JSON": [user("Ualpha"), call("c1", "{broken"), result("c1", "Rbeta")],
  "a call without a result": [user("Ualpha"), call("c1")],
};

const TOOLS = [
  {
    type: "function",
    function: {
      name: "look",
      description: "Looks",
      parameters: { type: "object", properties: { at: { type: "string" } } },
    },
  },
];

function textsOf(messages: readonly Message[]): string[] {
  return messages.flatMap(({ content }) => {
    if (typeof content === "string") return [content];
    return Array.isArray(content) ? content.map((part: { text: string }) => part.text) : [];
  });
}

describe.skipIf(SKIP_REASON !== undefined)("a conversation of any shape", () => {
  let device: TestDevice;
  let path: string;
  const templates = new Map<string, string>();

  beforeAll(async () => {
    device = await TestDevice.open("conversation");
    path = await tinyModel("conversation");
    const folder = join((await ensureSource({ patched: true })).path, "models/templates");
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".jinja"))) {
      templates.set(name, readFileSync(join(folder, name), "utf8"));
    }
  });

  afterAll(async () => {
    await device.close();
  });

  /** Loads the tiny model with a template and gives what it makes of messages. */
  async function withTemplate(
    template: string,
    use: (prompt: (body: Message) => Promise<string | Error>) => Promise<void>,
  ): Promise<void> {
    await device.load("shaped", path, { slots: 1, context: 512, chat_template: template });
    try {
      await use(async (body) => {
        const answer = await device.submit("apply_template", "shaped", body).done;
        return answer.last.kind === "result"
          ? (answer.result.prompt as string)
          : new Error(answer.result.message);
      });
    } finally {
      await device.job({ op: "unload", model: "shaped" });
    }
  }

  test(
    "is rendered whole and in order by every template that llama.cpp keeps",
    async () => {
      const wrong: string[] = [];
      for (const [name, template] of templates) {
        await withTemplate(template, async (prompt) => {
          for (const [shape, messages] of Object.entries(SHAPES)) {
            const hasTools = messages.some((message) => message["tool_calls"] !== undefined);
            const text = await prompt({ messages, ...(hasTools ? { tools: TOOLS } : {}) });
            if (text instanceof Error) {
              wrong.push(`${name}, ${shape}: ${text.message.slice(0, 200)}`);
              continue;
            }
            let from = 0;
            for (const [index, part] of textsOf(messages).entries()) {
              // Some templates put the leading system message before the last question on purpose.
              const isLead = index === 0 && messages[0]?.["role"] === "system";
              if (isLead && text.includes(part)) continue;
              const at = text.indexOf(part, from);
              if (at < 0) wrong.push(`${name}, ${shape}: ${part} is not there`);
              else from = at + part.length;
            }
          }
        });
      }
      expect(templates.size).toBeGreaterThan(40);
      expect(wrong).toEqual([]);
    },
    { timeout: 120_000 },
  );

  test("keeps what stood before it when a system message comes in the middle", async () => {
    const wrong: string[] = [];
    let stable = 0;
    for (const [name, template] of templates) {
      await withTemplate(template, async (prompt) => {
        const begin = [system("Salpha"), user("Ubeta"), assistant("Agamma")];
        const render = (more: readonly Message[]) =>
          prompt({ messages: [...begin, ...more], add_generation_prompt: true });
        const next = String(await render([user("Udelta")]));
        const upTo = next.slice(0, next.indexOf("Agamma"));
        if (!next.includes("Agamma") || upTo.includes("Udelta")) return;
        const withSystem = String(await render([system("Sepsilon"), user("Udelta")]));
        const further = String(await render([user("Udelta"), assistant("Azeta"), user("Ueta")]));
        // Some templates write a turn otherwise once it is an old one; no conversation is cached there.
        if (!further.startsWith(upTo)) return;
        stable += 1;
        if (!withSystem.startsWith(upTo)) wrong.push(name);
      });
    }
    expect(stable).toBeGreaterThan(40);
    expect(wrong).toEqual([]);
  }, 120_000);

  test("is not touched where the template takes it as it is", async () => {
    const chatml =
      "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}" +
      "{% if add_generation_prompt %}[assistant]{% endif %}";
    await withTemplate(chatml, async (prompt) => {
      const messages = [
        system("a"),
        system("b"),
        user("c"),
        user("d"),
        system("e"),
        assistant("f"),
        assistant("g"),
        user("h"),
      ];
      expect(await prompt({ messages })).toBe(
        "[system]a[system]b[user]c[user]d[system]e[assistant]f[assistant]g[user]h[assistant]",
      );
    });
  });

  test("is arranged for a template that wants user and assistant in turn and no system", async () => {
    const strict =
      "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" +
      "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('in turn') }}{% endif %}" +
      "[{{ m['role'] }}]{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    await withTemplate(strict, async (prompt) => {
      const messages = [
        system("a"),
        system("b"),
        user("c"),
        system("d"),
        assistant("e"),
        assistant("f"),
        system("g"),
      ];
      expect(await prompt({ messages })).toBe(
        "[user]a\n\nb\n\nc\n\n<system>\nd\n</system>[assistant]e\n\nf" +
          "[user]<system>\ng\n</system>[assistant]",
      );
      expect(await prompt({ messages: [assistant("a"), user("b")] })).toBe(
        "[user][assistant]a[user]b[assistant]",
      );
      expect(await prompt({ messages: [user("a"), assistant("b"), assistant("c")] })).toBe(
        "[user]a[assistant]b\n\nc",
      );
    });
  });
});
