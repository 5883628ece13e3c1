import { describe, expect, test } from "bun:test";
import { SlotLine } from "../../../src/neuron/models/slot-line.ts";

const seeker = (rank: number) => ({ rank });

describe("the line for a model's slots", () => {
  test("gives a free slot to the lowest rank, and of equal ones to the first that came", () => {
    const line = new SlotLine(1);
    const [running, late, first, second] = [seeker(0), seeker(9), seeker(3), seeker(3)];
    for (const each of [running, late, first, second]) line.add(each, 0);
    expect([running, first, second, late].map((each) => line.positionOf(each))).toEqual([
      0, 1, 2, 3,
    ]);
    expect(line.remove(running, 1_000)).toBe(1);
    expect([first, second, late].map((each) => line.positionOf(each))).toEqual([0, 1, 2]);
  });

  test("never takes a slot from one that has it", () => {
    const line = new SlotLine(1);
    const [running, older] = [seeker(5), seeker(1)];
    line.add(running, 0);
    line.add(older, 0);
    expect([line.positionOf(running), line.positionOf(older)]).toEqual([0, 1]);
  });

  test("counts the time at a slot from the moment in which it was got", () => {
    const line = new SlotLine(2);
    const [first, second, third] = [seeker(1), seeker(2), seeker(3)];
    for (const each of [first, second, third]) line.add(each, 0);
    expect(line.remove(second, 4_000)).toBe(4);
    expect(line.remove(third, 7_000)).toBe(3);
    expect(line.remove(first, 7_000)).toBe(7);
    expect(line.size).toBe(0);
  });

  test("says nothing of one that leaves without having had a slot, nor of one that it does not know", () => {
    const line = new SlotLine(1);
    const [running, waiting] = [seeker(1), seeker(2)];
    line.add(running, 0);
    line.add(waiting, 0);
    expect(line.remove(waiting, 5_000)).toBeUndefined();
    expect(line.remove(seeker(3), 5_000)).toBeUndefined();
    expect(line.size).toBe(1);
  });
});
