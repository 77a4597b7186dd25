/** The arena: values that are needed at the same time do not overlap, and memory is used again. */

import { describe, expect, test } from "vitest";
import { planArena } from "../../src/hardware/arena.js";
import { lowerProgram } from "../../src/hardware/lower.js";
import { smallestPacking } from "../../src/hardware/packing.js";
import { inputsOf, type Program, type Value } from "../../src/hardware/program.js";
import { lenet5 } from "../../src/models/lenet.js";
import { mobilenetV2 } from "../../src/models/mobilenet.js";
import { resnet56 } from "../../src/models/resnet.js";
import { quantizedActivations, quantizedWeights } from "../integers/networks.js";
import { manyOperators } from "./networks.js";

const NONE = { weights: [], activations: [] };
const bytesOf = ({ size, codes }: Value): number => size * (codes === undefined ? 4 : 1);

/** Marks each byte of the arena with the value that it holds, step by step. */
function expectIntact(program: Program): void {
  const { offsets, bytes } = planArena(program);
  const owner = new Array<Value | undefined>(bytes).fill(undefined);
  const check = (value: Value): void => {
    if (value === program.input || value === program.output) return;
    const from = offsets.get(value) ?? NaN;
    expect(from % 4).toBe(0);
    for (let at = from; at < from + bytesOf(value); at++) {
      if (owner[at] !== value) throw new Error(`"${value.name}" was overwritten`);
    }
  };
  for (const step of program.steps) {
    const { output } = step;
    // While a step runs, what it reads and what it makes are both there.
    for (const value of inputsOf(step)) check(value);
    if (output === program.output) continue;
    const from = offsets.get(output) ?? NaN;
    owner.fill(output, from, from + bytesOf(output));
    for (const value of inputsOf(step)) check(value);
  }
}

describe("an arena", () => {
  test.each([
    ["many operators", manyOperators()],
    ["lenet-5", lenet5()],
    ["resnet-56", resnet56()],
    ["mobilenet-v2", mobilenetV2()],
  ])("holds all values of %s as long as they are read", (_, model) => {
    expectIntact(lowerProgram(model, NONE, smallestPacking()));
    const quantization = {
      weights: quantizedWeights(model.graph, "int8"),
      activations: quantizedActivations(model, new Map()),
    };
    expectIntact(lowerProgram(model, quantization, smallestPacking()));
  });

  test("is as large as what is needed at the same time, and a quarter of it in codes", () => {
    const program = lowerProgram(lenet5(), NONE, smallestPacking());
    // conv1 makes [20, 24, 24], pool1 reads it and makes [20, 12, 12].
    expect(planArena(program).bytes).toBe(4 * 20 * (24 * 24 + 12 * 12));
  });
});
