import { describe, expect, test } from "bun:test";
import { GATEWAY_FACTS } from "../../src/gateway/http/api/gateway-facts.ts";
import { listServed } from "../../src/gateway/http/api/served-routes.ts";
import { type AppOptions, createApp } from "../../src/gateway/http/app.ts";
import { errorOf, gatewayOver } from "../gateway/fixture.ts";
import { checkDocument } from "./check-document.ts";
import { listOperations, type OpenApi } from "./open-api.ts";

/** The routes of the tables by which the gateway tells requests apart. */
function servedRoutes() {
  const parts = { nowMs: () => 0 } as unknown as AppOptions;
  return listServed(createApp(parts).routes);
}

async function documentOf(url: string): Promise<OpenApi> {
  return (await (await fetch(`${url}/docs/openapi.json`)).json()) as OpenApi;
}

describe("the gateway's document", () => {
  test("is OpenAPI, and its examples are as it says", async () => {
    const gateway = await gatewayOver([]);
    await checkDocument(await documentOf(gateway.url));
  });

  test("has every route that is served, and no other one", async () => {
    const served = servedRoutes().map(({ method, path }) => `${method} ${path}`);
    expect(served.filter((key) => !(key in GATEWAY_FACTS))).toEqual([]);
    expect(Object.keys(GATEWAY_FACTS).filter((key) => !served.includes(key))).toEqual([]);
    expect(new Set(served).size).toBe(served.length);
    const gateway = await gatewayOver([]);
    const documented = listOperations(await documentOf(gateway.url)).map(({ key }) => key);
    expect(documented.toSorted()).toEqual(served.toSorted());
  });

  test("has the schema of each body that the framework checks", async () => {
    const gateway = await gatewayOver([]);
    const { paths } = await documentOf(gateway.url);
    for (const { method, path, body } of servedRoutes()) {
      if (body === undefined) continue;
      const content = paths[path]?.[method.toLowerCase()]?.requestBody?.content;
      expect([path, content?.["application/json"]?.schema]).toEqual([
        path,
        JSON.parse(JSON.stringify(body)),
      ]);
    }
  });

  test("knows the methods of each path, for who asks with another one", async () => {
    const gateway = await gatewayOver([]);
    for (const { method, path } of servedRoutes()) {
      if (path === "/metrics") continue;
      const response = await fetch(`${gateway.url}${path.replaceAll(/\{\w+\}/g, "x")}`, {
        method: "PUT",
      });
      const body = (await response.json()) as { readonly error: { readonly message: string } };
      expect([path, response.status]).toEqual([path, 405]);
      expect(body.error.message).toContain(method);
    }
  });

  test("is no route of the port for figures, whose own route clients do not have", async () => {
    const gateway = await gatewayOver([]);
    const asked = async (url: string, method = "GET") =>
      (await errorOf(await fetch(url, { method }))).code;
    expect(await asked(`${gateway.url}/metrics`)).toBe("route_not_found");
    expect(await asked(`${gateway.metricsUrl}/health`)).toBe("route_not_found");
    expect(await asked(`${gateway.metricsUrl}/metrics`, "POST")).toBe("method_not_allowed");
  });
});
