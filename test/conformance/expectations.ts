/** Throws the message unless the condition holds. */
export function expectThat(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** Throws unless both are the same by value. */
export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (Bun.deepEquals(actual, expected, true)) return;
  throw new Error(`${what}: expected ${show(expected)}, got ${show(actual)}`);
}

/** Throws unless the value is one of those. */
export function expectOneOf(actual: unknown, expected: readonly unknown[], what: string): void {
  if (expected.includes(actual)) return;
  throw new Error(`${what}: expected one of ${show(expected)}, got ${show(actual)}`);
}

/** The value as an object; throws where it is none. */
export function expectObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (isObject(value)) return value;
  throw new Error(`${what}: expected an object, got ${show(value)}`);
}

/** The value as an array; throws where it is none. */
export function expectArray(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${what}: expected an array, got ${show(value)}`);
}

/** The value as text; throws where it is none. */
export function expectString(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new Error(`${what}: expected a string, got ${show(value)}`);
}

/** The value as a count; throws where it is none. */
export function expectCount(value: unknown, what: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new Error(`${what}: expected a count, got ${show(value)}`);
}

/** JSON text parsed; throws with the text where it is none. */
export function expectJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${what}: expected JSON, got ${show(text)}`, { cause });
  }
}

/** An object that is no array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Enough of a value for a message. */
export function show(value: unknown): string {
  const charsMax = 400;
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}… (${text.length} characters)`;
}
