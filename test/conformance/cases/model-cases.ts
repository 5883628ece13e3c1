import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect } from "../dialects/chat-dialect.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import {
  expectArray,
  expectEqual,
  expectJson,
  expectObject,
  expectString,
  expectThat,
  show,
} from "../expectations.ts";

/** Which models there are, in the shape that the caller knows. */
export const MODEL_CASES: readonly ConformanceCase[] = [
  {
    name: "the models are listed in OpenAI's shape",
    topic: "models",
    dialect: "chat",
    async run(target) {
      const body = await target.json("/v1/models");
      expectEqual(body["object"], "list", "object");
      const models = listOf(body);
      expectThat(models.length > 0, "No models");
      for (const model of models) {
        expectString(model["id"], "id");
        expectEqual(model["object"], "model", "object of a model");
        expectEqual(typeof model["created"], "number", "Type of created");
        expectString(model["owned_by"], "owned_by");
      }
    },
  },
  {
    name: "the models are listed in Anthropic's shape for those who send its version",
    topic: "models",
    dialect: "messages",
    async run(target) {
      const { headers } = messagesDialect;
      const body = await target.json("/v1/models?limit=1000", undefined, { headers });
      for (const key of ["has_more", "first_id", "last_id"]) {
        expectThat(key in body, `${key} is missing in ${show(body)}`);
      }
      const models = listOf(body);
      expectThat(models.length > 0, "No models");
      expectEqual(body["first_id"], models[0]?.["id"], "first_id");
      for (const model of models) {
        expectEqual(model["type"], "model", "type of a model");
        expectString(model["display_name"], "display_name");
        const createdMs = Date.parse(expectString(model["created_at"], "created_at"));
        expectThat(!Number.isNaN(createdMs), `created_at is ${model["created_at"]}`);
      }
    },
  },
  ...([chatDialect, messagesDialect] as const).map((dialect): ConformanceCase => {
    const { headers } = dialect;
    return {
      name: "one model is described by its id, and an unknown one is a 404",
      topic: "models",
      dialect: dialect.name,
      async run(target) {
        const id = encodeURIComponent(target.model);
        const found = await target.json(`/v1/models/${id}`, undefined, { headers });
        expectString(found["id"], "id");
        const answer = await target.send("/v1/models/no-such-model", undefined, { headers });
        expectEqual(answer.status, 404, "Status of an unknown model");
        dialect.readError(answer);
      },
    };
  }),
  {
    name: "count_tokens refuses an unknown model",
    topic: "models",
    dialect: "messages",
    async run(target) {
      const body = { model: "no-such-model", messages: [{ role: "user", content: "Hello." }] };
      const path = `${messagesDialect.path}/count_tokens`;
      const answer = await target.send(path, body, { headers: messagesDialect.headers });
      expectEqual(answer.status, 404, `Status with ${show(expectJson(answer.text, "body"))}`);
      messagesDialect.readError(answer);
    },
  },
];

function listOf(body: Readonly<Record<string, unknown>>) {
  return expectArray(body["data"], "data").map((it) => expectObject(it, "data[]"));
}
