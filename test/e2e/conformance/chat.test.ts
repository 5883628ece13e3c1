import { testConformance } from "./test-conformance.ts";

testConformance(["chat", "completions", "http"]);
