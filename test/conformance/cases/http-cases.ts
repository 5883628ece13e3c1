import { DIALECTS, expectRefusal } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect } from "../dialects/chat-dialect.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import { readOpenaiError } from "../dialects/openai-error.ts";
import { expectEqual, expectOneOf, expectThat, show } from "../expectations.ts";
import { RawConnection } from "../raw-connection.ts";

/** Longer than the 5 s after which careless servers close; shorter than what a test run can wait. */
const IDLE_MS = 6_500;
/** More than any server keeps in memory for one request. */
const ABSURD_BYTES = 1_000_000_000_000;

/** What holds below the dialects: routes, headers, connections. */
export const HTTP_CASES: readonly ConformanceCase[] = [
  {
    name: "HEAD / is answered with 200 and no body",
    topic: "http",
    dialect: "http",
    async run(target) {
      const answer = await target.send("/", undefined, { method: "HEAD" });
      expectEqual([answer.status, answer.bytes.length], [200, 0], "Status and length");
    },
  },
  ...DIALECTS.flatMap((dialect): ConformanceCase[] => [
    {
      name: "a key is taken as a bearer token and as x-api-key",
      topic: "http",
      dialect: dialect.name,
      async run(target) {
        const body = dialect.write({ user: "Hello.", maxTokens: 1 }, target.model);
        const styles = [
          { "x-api-key": target.key, authorization: "" },
          { authorization: `Bearer ${target.key}` },
        ];
        for (const style of styles) {
          const headers = { ...dialect.headers, ...style };
          const answer = await target.send(dialect.path, body, { headers });
          expectEqual(answer.status, 200, `Status with ${show(Object.keys(style))}`);
        }
      },
    },
    {
      name: "an answer carries request ids, an error too",
      topic: "http",
      dialect: dialect.name,
      async run(target) {
        for (const model of [target.model, "no-such-model"]) {
          const body = dialect.write({ user: "Hello.", maxTokens: 1 }, model);
          const { headers } = await target.send(dialect.path, body, { headers: dialect.headers });
          const id = headers.get("x-request-id") ?? headers.get("request-id") ?? "";
          expectThat(id.length > 0, `No request id for model '${model}'`);
          if (dialect !== messagesDialect) expectEqual(headers.get("x-request-id"), id, "the id");
          else expectEqual(headers.get("request-id"), id, "request-id");
        }
      },
    },
    {
      name: "a query string of a route is let go",
      topic: "http",
      dialect: dialect.name,
      async run(target) {
        const body = dialect.write({ user: "Hello.", maxTokens: 1 }, target.model);
        const path = `${dialect.path}?beta=true&api-version=1`;
        const { status } = await target.send(path, body, { headers: dialect.headers });
        expectEqual(status, 200, "Status");
      },
    },
    {
      name: "a GET of the route is refused with 405 or 404 in the dialect's envelope",
      topic: "http",
      dialect: dialect.name,
      async run(target) {
        const { headers } = dialect;
        const answer = await target.send(dialect.path, undefined, { headers });
        expectOneOf(answer.status, [404, 405], "Status");
        dialect.readError(answer);
      },
    },
    refusesAbsurdBody(dialect),
  ]),
  {
    name: "an unknown route is a 404 in OpenAI's envelope",
    topic: "http",
    dialect: "http",
    async run(target) {
      for (const path of ["/v1/nothing", "/v1/chat/nothing"]) {
        const answer = await target.send(path, {});
        expectEqual(answer.status, 404, `Status of ${path}`);
        readOpenaiError(answer);
      }
    },
  },
  {
    name: "an unknown route below messages is a 404 in Anthropic's envelope",
    topic: "http",
    dialect: "messages",
    async run(target) {
      const path = "/v1/messages/nothing";
      const error = await expectRefusal(target, messagesDialect, {
        path,
        body: {},
        statuses: [404],
      });
      expectEqual(error.type, "not_found_error", "Type of the error");
    },
  },
  {
    name: "a connection that was idle for six seconds still serves",
    topic: "http",
    dialect: "http",
    async run(target) {
      const connection = await RawConnection.open(target.url);
      const request = `GET /v1/models HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${target.key}\r\n\r\n`;
      try {
        connection.write(request);
        expectEqual((await connection.readAnswer()).status, 200, "First status");
        // What is tested is a time: there is no event to wait for.
        await Bun.sleep(IDLE_MS);
        expectThat(!connection.isClosed, "The server closed the idle connection");
        connection.write(request);
        expectEqual((await connection.readAnswer()).status, 200, "Second status");
      } finally {
        connection.close();
      }
    },
  },
  {
    name: "a body is JSON whatever its content type says",
    topic: "http",
    dialect: "chat",
    async run(target) {
      // What curl says of a body unless told otherwise.
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const body = chatDialect.write({ user: "Hello.", maxTokens: 1 }, target.model);
      const { status } = await target.send(chatDialect.path, body, { headers });
      expectEqual(status, 200, "Status");
    },
  },
  {
    name: "messages are answered without a version of their API",
    topic: "http",
    dialect: "messages",
    async run(target) {
      const body = messagesDialect.write({ user: "Hello.", maxTokens: 1 }, target.model);
      messagesDialect.readWhole(await target.json(messagesDialect.path, body));
    },
  },
  {
    name: "two requests that are sent at once on a connection are answered in turn",
    topic: "http",
    dialect: "http",
    async run(target) {
      const connection = await RawConnection.open(target.url);
      const get = (path: string) =>
        `GET ${path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${target.key}\r\n\r\n`;
      try {
        connection.write(get("/v1/models") + get("/v1/nothing"));
        const statuses = [await connection.readAnswer(), await connection.readAnswer()].map(
          ({ status }) => status,
        );
        expectEqual(statuses, [200, 404], "Statuses");
      } finally {
        connection.close();
      }
    },
  },
  {
    name: "a client that waits for leave to send its body gets it",
    topic: "http",
    dialect: "chat",
    async run(target) {
      const body = JSON.stringify(
        chatDialect.write({ user: "Hello.", maxTokens: 1 }, target.model),
      );
      const connection = await RawConnection.open(target.url);
      try {
        connection.write(
          `POST ${chatDialect.path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n` +
            `Authorization: Bearer ${target.key}\r\nContent-Length: ${body.length}\r\n` +
            "Expect: 100-continue\r\n\r\n",
        );
        expectEqual((await connection.readAnswer()).status, 100, "First status");
        connection.write(body);
        expectEqual((await connection.readAnswer()).status, 200, "Second status");
      } finally {
        connection.close();
      }
    },
  },
  {
    name: "a body in chunks and in small pieces is put together",
    topic: "http",
    dialect: "chat",
    async run(target) {
      const body = JSON.stringify(
        chatDialect.write({ user: "Hello.", maxTokens: 2 }, target.model),
      );
      const connection = await RawConnection.open(target.url);
      try {
        connection.write(
          `POST ${chatDialect.path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n` +
            `Authorization: Bearer ${target.key}\r\nTransfer-Encoding: chunked\r\n\r\n`,
        );
        for (let at = 0; at < body.length; at += 7) {
          const piece = body.slice(at, at + 7);
          connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
        }
        connection.write("0\r\n\r\n");
        expectEqual((await connection.readAnswer()).status, 200, "Status");
      } finally {
        connection.close();
      }
    },
  },
];

function refusesAbsurdBody(dialect: Dialect): ConformanceCase {
  return {
    name: "a body of a size that nobody can hold is refused with 413 before it is sent",
    topic: "http",
    dialect: dialect.name,
    async run(target) {
      const connection = await RawConnection.open(target.url);
      try {
        connection.write(
          `POST ${dialect.path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n` +
            `Authorization: Bearer ${target.key}\r\nContent-Length: ${ABSURD_BYTES}\r\n` +
            `${dialect === messagesDialect ? "anthropic-version: 2023-06-01\r\n" : ""}\r\n`,
        );
        const { status, body } = await connection.readAnswer();
        expectEqual(status, 413, "Status");
        const bytes = Buffer.from(body, "latin1");
        dialect.readError({ status, headers: new Headers(), bytes, text: bytes.toString() });
      } finally {
        connection.close();
      }
    },
  };
}
