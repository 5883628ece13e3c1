import { describe, expect, test } from "bun:test";
import { Catalogue } from "../../../src/gateway/fleet/catalogue.ts";
import { profile } from "../fixture.ts";

const model = (id: string, aliases: string[] = []) => ({ id, aliases });

describe("catalogue", () => {
  test("a profile names a neuron's model, by the profile's names and the neuron's", () => {
    const catalogue = new Catalogue(
      { models: [profile({ id: "chat", source: "org/m", aliases: ["gpt-4o"] })] },
      [model("org/m", ["m"]), model("other")],
    );
    expect(catalogue.entries.map(({ id }) => id)).toEqual(["chat", "other"]);
    for (const name of ["chat", "gpt-4o", "org/m", "m"]) {
      expect(catalogue.find(name)?.source).toBe("org/m");
    }
  });

  test("a profile without a neuron is in the catalogue too", () => {
    const catalogue = new Catalogue({ models: [profile({ id: "later" })] }, []);
    expect(catalogue.find("later")?.source).toBe("later");
  });

  test("the profile wins a name that a neuron uses otherwise", () => {
    const catalogue = new Catalogue({ models: [profile({ id: "a", aliases: ["b"] })] }, [
      model("b"),
    ]);
    expect(catalogue.find("b")?.id).toBe("a");
  });

  test("finds what a mistyped name may have meant, and nothing for a far one", () => {
    const catalogue = new Catalogue({ models: [] }, [model("llama-3.1-8b"), model("qwen")]);
    expect(catalogue.findNearest("Llama-3.1-8B-")).toBe("llama-3.1-8b");
    expect(catalogue.findNearest("gemma")).toBeUndefined();
  });

  test("a source with two profiles is placed on each neuron by the one that allows it", () => {
    const profiles = {
      models: [
        profile({ id: "near", source: "m", neurons: ["a"] }),
        profile({ id: "far", source: "m", neurons: ["b"] }),
      ],
    };
    const catalogue = new Catalogue(profiles, [model("m"), model("n")]);
    expect(catalogue.findPlaced("m", "a")?.id).toBe("near");
    expect(catalogue.findPlaced("m", "b")?.id).toBe("far");
    expect(catalogue.findPlaced("m", "c")).toBeUndefined();
    expect(catalogue.findPlaced("n", "c")?.id).toBe("n");
  });

  test("a pinned profile wants a replica, and what it says of loading goes into load options", () => {
    const given = { id: "m", pinned: true, split_mode: "row", tensor_split: [1, 2], draft: "d" };
    const catalogue = new Catalogue({ models: [profile(given)] }, []);
    expect(catalogue.find("m")).toMatchObject({
      replicasMin: 1,
      replicasMax: undefined,
      loadOptions: { split_mode: "row", tensor_split: [1, 2], draft: "d" },
    });
  });
});
