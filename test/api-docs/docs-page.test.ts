import { describe, expect, test } from "bun:test";
import { gatewayOver } from "../gateway/fixture.ts";
import { NeuronFixture } from "../neuron/fixture.ts";

async function checkPage(url: string): Promise<void> {
  const response = await fetch(`${url}/docs`);
  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain("unsafe");
  expect(policy).not.toContain("http");
  const page = await response.text();
  expect(page).not.toMatch(/https?:\/\//);
  // What runs and what is shown comes from files: the policy lets nothing else through.
  expect(page).not.toMatch(/<script>|<style|style=/);
  const links = [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, link = ""]) => link);
  expect(links).toEqual(["/docs/page.css", "/docs/page.js", "/docs/start.js"]);
  for (const link of [...links, "/docs/openapi.json"]) {
    const file = await fetch(url + link);
    expect([link, file.status]).toEqual([link, 200]);
    expect(file.headers.get("x-content-type-options")).toBe("nosniff");
  }
  // The viewer would send each document to a service that judges it.
  expect(await (await fetch(`${url}/docs/start.js`)).text()).toContain("validatorUrl: null");
}

describe("the page of the documents", () => {
  test("of a gateway comes from the gateway alone", async () => {
    const gateway = await gatewayOver([]);
    await checkPage(gateway.url);
    expect((await fetch(`${gateway.url}/docs`, { method: "HEAD" })).status).toBe(200);
  });

  test("of a neuron comes from the neuron alone", async () => {
    const fixture = await NeuronFixture.start();
    await checkPage(fixture.neuron.url);
    await fixture.stop();
  });
});
