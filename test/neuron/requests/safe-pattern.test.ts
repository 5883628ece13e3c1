import { expect, test } from "bun:test";
import { isSafePattern } from "../../../src/neuron/requests/safe-pattern.ts";

const SAFE = [
  "^[a-z]+$",
  "^\\d{4}-\\d{2}-\\d{2}$",
  "^(yes|no)$",
  "^(?:ab){1,3}$",
  "^[^@ ]+@[^@ ]+\\.[a-z]{2,10}$",
  "^$",
];

/** Each of these has ended llama-server's process, or is of the same family. */
const UNSAFE = [
  "^+a$",
  "^{2}x$",
  "^((a))$",
  "^(a(b))$",
  "^(?=a)b$",
  "^(?<!a)b$",
  "^a{1,100000}$",
  "^(a+)+$",
  "^a**$",
  "^a|*$",
  "^()$",
  "^(a$",
  "^a)$",
  "^[a$",
  "^[z-a]$",
  "^[\\d-x]$",
  "^\\1$",
  "^a\\$",
  "abc",
  "^abc",
  `^${"a".repeat(1_000)}$`,
];

for (const pattern of SAFE) {
  test(`pattern ${pattern} may be enforced`, () => {
    expect(isSafePattern(pattern)).toBe(true);
  });
}

for (const pattern of UNSAFE) {
  test(`pattern ${pattern.slice(0, 30)} is kept from the engine`, () => {
    expect(isSafePattern(pattern)).toBe(false);
  });
}
