import { signal } from "@preact/signals";
import type { TargetedSubmitEvent } from "preact";
import { askModel, DIALECTS, type Dialect } from "./ask-model.ts";
import { Disclosure } from "./disclosure.tsx";
import { formatSeconds } from "./format.ts";
import { store } from "./store.ts";

const TOKENS_DEFAULT = 256;
const TOKENS_MAX = 32_768;
/** A long answer keeps its end: the page must not grow with it. */
const ANSWER_CHARACTERS_MAX = 200_000;

const dialect = signal<Dialect>("chat");
const model = signal("");
const prompt = signal("");
const tokensMax = signal(TOKENS_DEFAULT);
const answer = signal("");
const told = signal("");
const running = signal<AbortController | undefined>(undefined);

/** Asks a model in any of the dialects, as a client would. */
export function Playground() {
  return (
    <section id="playground" aria-labelledby="playground-title">
      <h2 id="playground-title">Playground</h2>
      <Disclosure summary="Ask a model" details={() => <Form />} />
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
            told.value = `${route}; first text after ${first}`;
          }
          answer.value = (answer.value + text).slice(-ANSWER_CHARACTERS_MAX);
        },
        signal: stop.signal,
      },
    );
    told.value = `${route}; first text after ${first || "–"}, done after ${seconds()}`;
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

function Form() {
  return (
    <form onSubmit={submit}>
      <Choices />
      <label>
        Prompt
        <textarea
          required
          rows={4}
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
        <span role="status" class="quiet">
          {told.value}
        </span>
      </div>
      <output class="answer" aria-label="Answer">
        {answer.value}
      </output>
    </form>
  );
}

function Choices() {
  return (
    <div class="bar">
      <label>
        Dialect{" "}
        <select
          value={dialect.value}
          onChange={(event) => {
            dialect.value = event.currentTarget.value as Dialect;
          }}
        >
          {DIALECTS.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label>
        Model{" "}
        <input
          required
          list="model-names"
          value={model.value}
          onInput={(event) => {
            model.value = event.currentTarget.value;
          }}
        />
      </label>
      <datalist id="model-names">
        {store.models.keys.value.map((id) => (
          <option key={id} value={id} />
        ))}
      </datalist>
      <label>
        Tokens at most{" "}
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
