import { isObject, type JsonObject } from "./script.ts";

/** Collects what is wrong with a request; each line says where. */
export class Complaints {
  readonly found: string[] = [];

  add(where: string, message: string): void {
    this.found.push(`${where}: ${message}`);
  }

  /** Complains unless the condition holds, and gives it back. */
  expect(condition: boolean, where: string, message: string): boolean {
    if (!condition) this.add(where, message);
    return condition;
  }

  /** The value as an object with none but the named fields; undefined, with a complaint, when it is no object. */
  object(value: unknown, where: string, fields: readonly string[]): JsonObject | undefined {
    if (!isObject(value)) {
      this.add(where, `is no object: ${JSON.stringify(value)?.slice(0, 80)}`);
      return undefined;
    }
    for (const name of Object.keys(value)) {
      if (!fields.includes(name)) this.add(`${where}.${name}`, "is unknown here");
    }
    return value;
  }

  /** The value as a list that holds something; empty, with a complaint, when it is none. */
  list(value: unknown, where: string): readonly unknown[] {
    if (Array.isArray(value) && value.length > 0) return value;
    this.add(where, `is no list with something in it: ${JSON.stringify(value)?.slice(0, 80)}`);
    return [];
  }

  text(value: unknown, where: string): string {
    if (typeof value === "string" && value.trim() !== "") return value;
    this.add(where, `is no text with something in it: ${JSON.stringify(value)?.slice(0, 80)}`);
    return "";
  }

  /** Optional numbers within limits. */
  number(value: unknown, where: string, limits: { readonly min: number; readonly max: number }) {
    if (value === undefined || value === null) return;
    const isGood = typeof value === "number" && value >= limits.min && value <= limits.max;
    this.expect(isGood, where, `${String(value)} is not within ${limits.min} to ${limits.max}`);
  }
}
