/** Multiply-accumulates against counts by hand and against a loop that counts them one by one. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countMacs } from "../../src/prune/macs.js";
import { emptyGraph, int, ints, type Attribute, type Dim, type Graph } from "../../src/onnx/model.js";
import { tensor } from "../../src/onnx/tensor.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { kernels, resolvePrune, weights } from "../../src/prune/spec.js";

function graphOf(shape: Dim[]): Graph {
  const graph = emptyGraph("g");
  graph.inputs.push({ name: "x", type: { dtype: "float32", shape } });
  return graph;
}

function add(
  graph: Graph,
  op: string,
  inputs: string[],
  output: string,
  attributes: Record<string, Attribute> = {},
): void {
  graph.nodes.push({
    op,
    domain: "",
    name: output,
    inputs,
    outputs: [output],
    attributes: new Map(Object.entries(attributes)),
  });
}

function weight(graph: Graph, name: string, ...dims: number[]): string {
  const size = dims.reduce((product, dim) => product * dim, 1);
  graph.initializers.set(name, tensor("float32", dims, new Float32Array(size)));
  return name;
}

/** Conv 20@5x5, pool, conv 50@5x5, pool, 800-500, 500-10, on 28x28. */
function lenet5(batch: Dim): Graph {
  const graph = graphOf([batch, 1, 28, 28]);
  const pool = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
  add(graph, "Conv", ["x", weight(graph, "conv1.weight", 20, 1, 5, 5)], "conv1");
  add(graph, "MaxPool", ["conv1"], "p1", pool);
  add(graph, "Conv", ["p1", weight(graph, "conv2.weight", 50, 20, 5, 5)], "conv2");
  add(graph, "MaxPool", ["conv2"], "p2", pool);
  add(graph, "Flatten", ["p2"], "flat");
  add(graph, "Gemm", ["flat", weight(graph, "f1.weight", 500, 800)], "fc1", { transB: int(1) });
  add(graph, "Relu", ["fc1"], "r");
  add(graph, "MatMul", ["r", weight(graph, "f2.weight", 500, 10)], "fc2");
  return graph;
}

describe("countMacs", () => {
  test("LeNet-5, whatever the batch", () => {
    const expected = [
      { layer: "conv1", macs: 288_000, macsKept: 288_000 },
      { layer: "conv2", macs: 1_600_000, macsKept: 1_600_000 },
      { layer: "fc1", macs: 400_000, macsKept: 400_000 },
      { layer: "fc2", macs: 5_000, macsKept: 5_000 },
    ];
    for (const batch of ["batch", undefined, 1, 64]) {
      expect(countMacs(lenet5(batch))).toEqual({ layers: expected, macs: 2_293_000, macsKept: 2_293_000 });
    }
  });

  test("kept weights count in each place where they are used", () => {
    const graph = lenet5("batch");
    const pruned = resolvePrune(prunableLayers(graph), {
      conv2: kernels({ k: 5 }),
      fc1: weights({ k: 32 }),
    });
    const { layers, macs, macsKept } = countMacs(graph, pruned);
    expect(layers.map((layer) => layer.macsKept)).toEqual([288_000, 400_000, 16_000, 5_000]);
    expect([macs, macsKept]).toEqual([2_293_000, 709_000]);
  });

  test("a shared weight counts twice, and products of computed values count in the total", () => {
    const graph = graphOf(["batch", 6, 4]);
    weight(graph, "w", 4, 4);
    add(graph, "MatMul", ["x", "w"], "a");
    add(graph, "MatMul", ["a", "w"], "b");
    add(graph, "Transpose", ["b"], "t", { perm: ints([0, 2, 1]) });
    add(graph, "MatMul", ["b", "t"], "c");
    const pruned = resolvePrune(prunableLayers(graph), { a: weights({ k: 1 }) });
    expect(countMacs(graph, pruned)).toEqual({
      layers: [{ layer: "a", macs: 192, macsKept: 48 }],
      macs: 192 + 6 * 6 * 4,
      macsKept: 48 + 6 * 6 * 4,
    });
  });

  test("a convolution with strides, pads, dilations and groups, against a loop", () => {
    const small = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(
        fc.record({ group: small, inputs: small, outputs: small, kernel: small, stride: small, pad: small }),
        fc.integer({ min: 7, max: 12 }),
        (c, size) => {
          const graph = graphOf(["n", c.group * c.inputs, size, size]);
          weight(graph, "w", c.group * c.outputs, c.inputs, c.kernel, c.kernel);
          add(graph, "Conv", ["x", "w"], "y", {
            group: int(c.group),
            strides: ints([c.stride, c.stride]),
            pads: ints([c.pad, c.pad, c.pad, c.pad]),
            dilations: ints([2, 2]),
          });
          let macs = 0;
          const reach = 2 * (c.kernel - 1);
          for (let y = -c.pad; y + reach < size + c.pad; y += c.stride)
            for (let x = -c.pad; x + reach < size + c.pad; x += c.stride)
              macs += c.group * c.outputs * c.inputs * c.kernel * c.kernel;
          expect(countMacs(graph).macs).toBe(macs);
        },
      ),
    );
  });

  test("says which shape is missing", () => {
    const graph = graphOf(["batch", "tokens", 4]);
    add(graph, "MatMul", ["x", weight(graph, "w", 4, 4)], "y");
    expect(() => countMacs(graph)).toThrowErrorMatchingInlineSnapshot(
      `[InputError: node "y" (MatMul): counting multiply-accumulates needs the shape of "y", which is [1, tokens, 4]. Give the model's inputs fixed sizes; only the first dimension, the batch, may be symbolic.]`,
    );
  });
});
