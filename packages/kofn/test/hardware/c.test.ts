/** Programs in C: bit by bit what the reference computes, under sanitizers; and what onnxruntime computes, within rounding. */

import { describe, expect, it } from "vitest";
import { writeC } from "../../src/hardware/c/source.js";
import { lowerProgram } from "../../src/hardware/lower.js";
import { smallestPacking } from "../../src/hardware/packing.js";
import type { Program } from "../../src/hardware/program.js";
import { runProgram } from "../../src/hardware/reference.js";
import type { Model } from "../../src/onnx/model.js";
import { tensor } from "../../src/onnx/tensor.js";
import { WEIGHT_FORMATS } from "../../src/quantize/types.js";
import { Random } from "../../src/random.js";
import { residualModel, quantizedActivations, quantizedWeights } from "../quantize/networks.js";
import { runModel } from "../import/support.js";
import { isInstalled, runC } from "./compile.js";

const hasGcc = isInstalled("gcc");

function samples(count: number, size: number): Float32Array[] {
  const random = new Random(1, "hardware");
  return Array.from({ length: count }, () => Float32Array.from({ length: size }, () => 2 * random.uniform() - 1));
}

function expectBits(program: Program, inputs: readonly Float32Array[]): Float32Array[] {
  const made = runC("net", writeC(program, { name: "net", title: "test" }), program, inputs);
  const expected = inputs.map((input) => runProgram(program, input));
  expect(made).toEqual(expected);
  return made;
}

async function ofOnnxruntime(model: Model, inputs: readonly Float32Array[], dims: readonly number[]): Promise<Float32Array[]> {
  const results: Float32Array[] = [];
  for (const input of inputs) {
    const values = await runModel(model, tensor("float32", [1, ...dims], input.slice()));
    results.push(([...values.values()][0] as ReturnType<typeof tensor<"float32">>).array());
  }
  return results;
}

describe.runIf(hasGcc)("a network in C", () => {
  const inputs = samples(20, 128);

  it("of floats computes what onnxruntime does", async () => {
    const model = residualModel();
    const program = lowerProgram(model, { weights: [], activations: [] }, smallestPacking());
    const made = expectBits(program, inputs);
    const expected = await ofOnnxruntime(model, inputs, [2, 8, 8]);
    made.forEach((output, i) => {
      output.forEach((value, j) => {
        expect(Math.abs(value - expected[i][j])).toBeLessThan(1e-5 + 1e-4 * Math.abs(expected[i][j]));
      });
    });
  });

  it.each(WEIGHT_FORMATS)("of weights as %s", (format) => {
    const model = residualModel();
    const weights = quantizedWeights(model.graph, format);
    expectBits(lowerProgram(model, { weights, activations: [] }, smallestPacking()), inputs);
    const activations = quantizedActivations(model, new Map());
    const program = lowerProgram(model, { weights, activations }, smallestPacking());
    expectBits(program, inputs);
  });
});
