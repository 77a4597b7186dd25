/** Programs in C: bit by bit what the reference computes, under sanitizers; and what onnxruntime computes, within rounding. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { WEIGHT_FORMATS } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { loadModel } from "../../src/files/models.js";
import { writeC } from "../../src/hardware/c/source.js";
import { lowerProgram } from "../../src/hardware/lower.js";
import { smallestPacking } from "../../src/hardware/packing.js";
import type { Program } from "../../src/hardware/program.js";
import { runProgram } from "../../src/hardware/reference.js";
import { importModel } from "../../src/import/import.js";
import { withQuantizedActivations, withQuantizedWeights } from "../../src/integers/simulate.js";
import { resnet20 } from "../../src/models/resnet.js";
import { vgg16bn } from "../../src/models/vgg.js";
import type { Model } from "../../src/onnx/model.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { kernels, weights } from "../../src/prune/spec.js";
import type { Quantization, QuantizedActivation } from "../../src/quantize/types.js";
import { runModel } from "../import/support.js";
import { quantizedActivations, quantizedWeights, residualModel } from "../integers/networks.js";
import { sharedFolder } from "../support/fixtures.js";
import { isInstalled, runC } from "./compile.js";
import { manyOperators, prunedBy, rangesOf, renamedValue, samples, smallNetwork } from "./networks.js";

const hasGcc = isInstalled("gcc");
const NONE: Quantization = { weights: [], activations: [] };

/** The outputs of a program in C, which must be those of the reference. */
function bitsOf(program: Program, inputs: readonly Float32Array[]): Float32Array[] {
  const written = writeC(program, { name: "net", file: "net", title: "test" });
  const made = runC("net", written, program, inputs);
  expect(made).toEqual(inputs.map((input) => runProgram(program, input)));
  return made;
}

async function ofOnnxruntime(
  model: Model,
  inputs: readonly Float32Array<ArrayBuffer>[],
  dims: readonly number[],
): Promise<Float32Array[]> {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const all = new Float32Array(inputs.length * size);
  inputs.forEach((input, i) => {
    all.set(input, i * size);
  });
  const [output] = [...(await runModel(model, tensor("float32", [inputs.length, ...dims], all))).values()];
  const values = (output as Tensor<"float32">).array();
  const count = values.length / inputs.length;
  return inputs.map((_, i) => values.slice(i * count, (i + 1) * count));
}

/** Within 1e-4 of the value and 1e-5 of the largest one. */
function expectClose(made: readonly Float32Array[], expected: readonly Float32Array[]): void {
  made.forEach((output, i) => {
    const largest = Math.max(1, ...expected[i].map(Math.abs));
    const beyond = output.map((value, j) => {
      return Math.abs(value - expected[i][j]) / (1e-5 * largest + 1e-4 * Math.abs(expected[i][j]));
    });
    expect(Math.max(...beyond)).toBeLessThan(1);
  });
}

/** The largest difference of outputs over the largest output. */
function deviation(made: readonly Float32Array[], expected: readonly Float32Array[]): number {
  let [difference, largest] = [0, 0];
  made.forEach((output, i) => {
    output.forEach((value, j) => {
      difference = Math.max(difference, Math.abs(value - expected[i][j]));
      largest = Math.max(largest, Math.abs(expected[i][j]));
    });
  });
  return difference / largest;
}

const argmax = (values: Float32Array): number => values.indexOf(Math.max(...values));

const simulated = (model: Model, { weights: quantized, activations }: Quantization): Model =>
  withQuantizedActivations(withQuantizedWeights(model, quantized), activations);

const RESIDUAL = [2, 8, 8];
const inputs = samples(16, 128);

describe.runIf(hasGcc)("a residual network in C", () => {
  const model = residualModel();
  const rangesOfAll = rangesOf(model, RESIDUAL, inputs);

  test("of floats computes what onnxruntime does", async () => {
    const made = bitsOf(lowerProgram(model, NONE, smallestPacking()), inputs);
    expectClose(made, await ofOnnxruntime(model, inputs, RESIDUAL));
  });

  test.each(WEIGHT_FORMATS)("of %s weights computes what scale times code does", async (format) => {
    const quantization = { weights: quantizedWeights(model.graph, format), activations: [] };
    const made = bitsOf(lowerProgram(model, quantization, smallestPacking()), inputs);
    expectClose(made, await ofOnnxruntime(simulated(model, quantization), inputs, RESIDUAL));
  });

  test.each(["uint8", "int8"] as const)(
    "of integers with %s activations is near the simulated one",
    async (format) => {
      const quantization = {
        weights: quantizedWeights(model.graph, "int8"),
        activations: quantizedActivations(model, await rangesOfAll, format),
      };
      const program = lowerProgram(model, quantization, smallestPacking());
      const layers = program.steps.filter((step) => step.op === "linear");
      expect(layers.map(({ input }) => input.codes?.type)).toEqual(layers.map(() => format));
      const made = bitsOf(program, inputs);
      expect(
        deviation(made, await ofOnnxruntime(simulated(model, quantization), inputs, RESIDUAL)),
      ).toBeLessThan(0.03);
      expect(deviation(made, await ofOnnxruntime(model, inputs, RESIDUAL))).toBeLessThan(0.1);
    },
  );

  test("of integers in some layers computes the others in floats", async () => {
    const quantization = {
      weights: quantizedWeights(model.graph, "int4").filter(({ layer }) => layer !== "conv3"),
      activations: quantizedActivations(model, await rangesOfAll, "uint8", ["conv2", "conv3", "fc1"]),
    };
    const program = lowerProgram(model, quantization, smallestPacking());
    const layers = program.steps.filter((step) => step.op === "linear");
    expect(layers.map(({ input }) => input.codes !== undefined)).toEqual([false, true, false, true, false]);
    const made = bitsOf(program, inputs);
    expect(
      deviation(made, await ofOnnxruntime(simulated(model, quantization), inputs, RESIDUAL)),
    ).toBeLessThan(0.03);
  });

  test.each([0, 0.5])(
    "of binary activations (zero point %f) computes what the simulated one does",
    async (zeroPoint) => {
      const binary = (tensorName: string, layer: string): QuantizedActivation => ({
        tensor: tensorName,
        layer,
        format: "binary",
        scale: 0.75,
        zeroPoint,
      });
      const quantization = {
        weights: quantizedWeights(model.graph, "binary"),
        activations: [
          ...(zeroPoint === 0
            ? [binary("relu1", "conv2"), binary("relu3", "fc2")]
            : [binary("input", "conv1")]),
          binary("pool", "conv3"),
        ],
      };
      const made = bitsOf(lowerProgram(model, quantization, smallestPacking()), inputs);
      // A value next to its threshold may fall to either side: most samples are equal.
      const expected = await ofOnnxruntime(simulated(model, quantization), inputs, RESIDUAL);
      const equal = made.filter((output, i) => deviation([output], [expected[i]]) < 0.01);
      expect(equal.length).toBeGreaterThan(12);
    },
  );
});

describe.runIf(hasGcc)("all operators in C", () => {
  const model = manyOperators();
  const dims = [4, 9, 7];
  const images = samples(16, 252);
  const logits = { ...model, graph: { ...model.graph, outputs: [{ name: "f/add", type: undefined }] } };

  test("compute what onnxruntime does, without the last Softmax", async () => {
    const program = lowerProgram(model, NONE, smallestPacking());
    expect(program.omitted).toBe("Softmax");
    expectClose(bitsOf(program, images), await ofOnnxruntime(logits, images, dims));
  });

  test("leave values alone that are read under another name", async () => {
    const renamed = renamedValue();
    const small = samples(4, 32);
    const made = bitsOf(lowerProgram(renamed, NONE, smallestPacking()), small);
    expectClose(made, await ofOnnxruntime(renamed, small, [2, 4, 4]));
  });

  test.each(["uint8", "int8"] as const)("compute with %s codes what is near", async (format) => {
    const ranges = await rangesOf(model, dims, images);
    const quantization = {
      weights: quantizedWeights(model.graph, "int8"),
      activations: quantizedActivations(model, ranges, format),
    };
    const made = bitsOf(lowerProgram(model, quantization, smallestPacking()), images);
    expect(deviation(made, await ofOnnxruntime(logits, images, dims))).toBeLessThan(0.1);
  });
});

describe.runIf(hasGcc)("a pruned network in C", () => {
  const images = samples(8, 256);
  test.each([
    [
      "weights",
      { conv1: weights({ k: 5 }), conv2: weights({ k: 6 }), fc1: weights({ k: 9 }), fc2: weights({ k: 20 }) },
    ],
    [
      "weights per kernel",
      { conv1: weights({ k: 2, per: "kernel" }), conv2: weights({ k: 1, per: "kernel" }) },
    ],
    [
      "tiles",
      { conv1: weights({ tile: [1, 4] }), conv2: weights({ tile: [2, 12] }), fc1: weights({ tile: [1, 4] }) },
    ],
    ["kernels", { conv1: kernels({ k: 1 }), conv2: kernels({ k: 1, share: 4 }) }],
    [
      "shared",
      {
        conv1: weights({ k: 7, share: 4 }),
        fc1: weights({ k: 12, share: 10 }),
        fc2: weights({ k: 30, share: 3 }),
      },
    ],
  ])("by %s", async (_, rules) => {
    const { model, pruned } = prunedBy(smallNetwork(), rules);
    const packing = smallestPacking(pruned);
    const program = lowerProgram(model, NONE, packing);
    const kinds = new Map(
      program.steps.flatMap((step) => (step.op === "linear" ? [[step.layer, step.weights.places]] : [])),
    );
    for (const [layer, { share = 1 }] of Object.entries(rules)) {
      expect(kinds.get(layer)).toMatchObject({ kind: "balanced", share });
    }
    expectClose(bitsOf(program, images), await ofOnnxruntime(model, images, [4, 8, 8]));
    const ranges = await rangesOf(model, [4, 8, 8], images);
    const quantization = {
      weights: quantizedWeights(model.graph, "int8"),
      activations: quantizedActivations(model, ranges),
    };
    const integer = lowerProgram(model, quantization, packing);
    expect(deviation(bitsOf(integer, images), await ofOnnxruntime(model, images, [4, 8, 8]))).toBeLessThan(
      0.1,
    );
  });

  test("with rows of different lengths, and one without any weight", async () => {
    const small = smallNetwork();
    const initializers = new Map(small.graph.initializers);
    for (const [name, value] of initializers) {
      if (!name.endsWith("weight")) continue;
      const values = (value as Tensor<"float32">)
        .array()
        .map((one, i) => ((i * 7919) % 11 < 1 && i > 300 ? one : 0));
      initializers.set(name, tensor("float32", value.dims, values));
    }
    const model = { ...small, graph: { ...small.graph, initializers } };
    const program = lowerProgram(model, NONE, smallestPacking());
    const kinds = program.steps.flatMap((step) => (step.op === "linear" ? [step.weights.places.kind] : []));
    expect(kinds).toContain("ragged");
    expectClose(bitsOf(program, images), await ofOnnxruntime(model, images, [4, 8, 8]));
  });
});

describe.runIf(hasGcc)("networks of the zoo in C", () => {
  test.each([
    ["resnet-20", resnet20(), weights({ keep: 0.05 })],
    ["vgg-16-bn", vgg16bn(), weights({ k: 4 })],
  ])(
    "%s",
    async (_, dense, rule) => {
      const layers = [...dense.graph.initializers]
        .filter(([, { dims }]) => dims.length > 1)
        .map(([name]) => name.replace(/\.weight$/, ""));
      const { model, pruned } = prunedBy(dense, Object.fromEntries(layers.map((name) => [name, rule])));
      const images = samples(1, 3072);
      const made = bitsOf(lowerProgram(model, NONE, smallestPacking(pruned)), images);
      expectClose(made, await ofOnnxruntime(model, images, [3, 32, 32]));
    },
    240_000,
  );
});

const fixtures = sharedFolder("fixtures");

describe.runIf(hasGcc && fixtures !== undefined)("imported networks in C", () => {
  test.each([
    ["lenet5-mnist", [1, 28, 28], 2],
    ["resnet20-cifar10", [3, 32, 32], 1],
  ])(
    "%s computes its logits, and in integers nearly",
    async (name, dims, count) => {
      const folder = fixtures ?? "";
      const model = importModel(await loadModel(join(folder, `${name}.onnx`)));
      const read = (file: string): Float32Array<ArrayBuffer> =>
        new Float32Array(new Uint8Array(readFileSync(join(folder, file))).buffer);
      const [all, logits] = [read(`${name}.input.bin`), read(`${name}.logits.bin`)];
      const size = all.length / 4;
      const images = Array.from({ length: count }, (_, i) => all.slice(i * size, (i + 1) * size));
      const expected = images.map((_, i) => logits.slice(i * 10, (i + 1) * 10));
      expectClose(bitsOf(lowerProgram(model, NONE, smallestPacking()), images), expected);
      const ranges = await rangesOf(model, dims, images.slice(0, 1));
      const quantization = {
        weights: quantizedWeights(model.graph, "int8"),
        activations: quantizedActivations(model, ranges),
      };
      const made = bitsOf(lowerProgram(model, quantization, smallestPacking()), images);
      expect(made.map(argmax)).toEqual(expected.map(argmax));
      expect(deviation(made, expected)).toBeLessThan(0.15);
    },
    240_000,
  );
});
