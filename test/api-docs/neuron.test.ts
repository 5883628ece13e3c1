import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { serveRoutes } from "../../src/neuron/http/app.ts";
import { NeuronFixture } from "../neuron/fixture.ts";
import { checkDocument } from "./check-document.ts";
import { listOperations, type OpenApi } from "./open-api.ts";

describe("the neuron's document", () => {
  let fixture: NeuronFixture;

  beforeEach(async () => {
    fixture = await NeuronFixture.start();
  });

  afterEach(() => fixture.stop());

  const read = async () => (await (await fixture.get("/docs/openapi.json")).json()) as OpenApi;

  test("is OpenAPI, and its examples are as it says", async () => {
    await checkDocument(await read());
  });

  test("names routes that are served, with the methods that they take", async () => {
    for (const { key, method, path } of listOperations(await read())) {
      const url = `${fixture.neuron.url}${path.replaceAll(/\{\w+\}/g, "x")}`;
      const response = await fetch(url, { method: "PUT" });
      const { error } = (await response.json()) as { readonly error: { readonly message: string } };
      expect([key, response.status]).toEqual([key, 405]);
      expect(error.message).toContain(method);
    }
  });
});

test("a neuron serves nothing without documenting it", async () => {
  const server = serveRoutes(
    [{ method: "GET", path: "/new", tag: "neuron", summary: "", handle: () => new Response() }],
    { listen: "127.0.0.1:0", token: "secret", log: silentLog },
  );
  const document = (await (await fetch(`${server.url}/docs/openapi.json`)).json()) as OpenApi;
  const keys = listOperations(document).map(({ key }) => key);
  expect(keys).toEqual(["GET /new", "GET /docs", "GET /docs/{file}"]);
  await server.stop(0);
});
