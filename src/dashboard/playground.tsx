import { signal } from "@preact/signals";
import type { TargetedSubmitEvent } from "preact";
import { askModel, DIALECTS, type Dialect } from "./ask-model.ts";
import { formatSeconds } from "./format.ts";
import { SectionHead } from "./section-head.tsx";
import { store } from "./store.ts";

const TOKENS_DEFAULT = 256;
const TOKENS_MAX = 32_768;
/** More than anybody looks through. */
const NAMES_MAX = 100;
/** A long answer keeps its end: the page must not grow with it. */
const ANSWER_CHARACTERS_MAX = 200_000;

/** The dialects by the names that their inventors gave them. */
const DIALECT_NAMES: Readonly<Record<Dialect, string>> = {
  chat: "OpenAI chat completions",
  responses: "OpenAI responses",
  messages: "Anthropic messages",
};

const dialect = signal<Dialect>("chat");
const model = signal("");
const prompt = signal("");
const tokensMax = signal(TOKENS_DEFAULT);
const answer = signal("");
const told = signal("");
const running = signal<AbortController | undefined>(undefined);
/** Names to choose from are looked for when somebody is about to choose: there may be tens of thousands. */
const isChoosing = signal(false);

/** Asks a model in any of the dialects, as a client would. */
export function Playground() {
  return (
    <section id="playground" aria-labelledby="playground-title">
      <SectionHead id="playground" title="Playground" count="asks as a client would" />
      <form class="card playground" onSubmit={submit}>
        <div class="question">
          <Choices />
          <label>
            Prompt
            <textarea
              required
              rows={5}
              placeholder="Ask something"
              value={prompt.value}
              onInput={(event) => {
                prompt.value = event.currentTarget.value;
              }}
            />
          </label>
          <div class="buttons">
            <button type="submit" class="act" disabled={running.value !== undefined}>
              Ask
            </button>
            <button
              type="button"
              disabled={running.value === undefined}
              onClick={() => running.value?.abort()}
            >
              Stop
            </button>
          </div>
        </div>
        <div class="reply">
          <span class="label" id="answer-title">
            Answer
          </span>
          <output class="answer" aria-labelledby="answer-title">
            {answer.value || <span class="quiet">The answer appears here, word by word.</span>}
          </output>
          <span role="status" class="quiet told">
            {told.value}
          </span>
        </div>
      </form>
    </section>
  );
}

async function ask(): Promise<void> {
  const stop = new AbortController();
  running.value = stop;
  answer.value = "";
  told.value = "waiting …";
  const startMs = performance.now();
  const seconds = () => formatSeconds((performance.now() - startMs) / 1_000);
  let route = "";
  let first = "";
  try {
    await askModel(
      {
        dialect: dialect.value,
        model: model.value,
        text: prompt.value,
        tokensMax: tokensMax.value,
      },
      {
        onRoute: (text) => {
          route = text;
        },
        onText: (text) => {
          if (first === "") {
            first = seconds();
            told.value = `${route} · first text after ${first}`;
          }
          answer.value = (answer.value + text).slice(-ANSWER_CHARACTERS_MAX);
        },
        signal: stop.signal,
      },
    );
    told.value = `${route} · first text after ${first || "–"} · done after ${seconds()}`;
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    told.value = stop.signal.aborted ? `stopped after ${seconds()}` : `failed: ${why}`;
  } finally {
    running.value = undefined;
  }
}

function submit(event: TargetedSubmitEvent<HTMLFormElement>): void {
  event.preventDefault();
  if (running.value === undefined) void ask();
}

function Choices() {
  return (
    <div class="choices">
      <label>
        Dialect
        <select
          value={dialect.value}
          onChange={(event) => {
            dialect.value = event.currentTarget.value as Dialect;
          }}
        >
          {DIALECTS.map((name) => (
            <option key={name} value={name}>
              {DIALECT_NAMES[name]}
            </option>
          ))}
        </select>
      </label>
      <label>
        Model
        <input
          required
          list="model-names"
          placeholder="its id or an alias"
          value={model.value}
          onFocus={() => {
            isChoosing.value = true;
          }}
          onInput={(event) => {
            model.value = event.currentTarget.value;
          }}
        />
      </label>
      <ModelNames />
      <label>
        Tokens at most
        <input
          type="number"
          min={1}
          max={TOKENS_MAX}
          value={tokensMax.value}
          onInput={(event) => {
            tokensMax.value = event.currentTarget.valueAsNumber || TOKENS_DEFAULT;
          }}
        />
      </label>
    </div>
  );
}

/** Names that hold what was typed so far. */
function findNames(): string[] {
  const typed = model.value.toLowerCase();
  const found = store.modelIds.value.filter((id) => id.toLowerCase().includes(typed));
  return found.slice(0, NAMES_MAX);
}

function ModelNames() {
  return (
    <datalist id="model-names">
      {isChoosing.value && findNames().map((id) => <option key={id} value={id} />)}
    </datalist>
  );
}
