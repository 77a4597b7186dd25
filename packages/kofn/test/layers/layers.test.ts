/** Which layers of a graph can be pruned, and what they are called. */

import { describe, expect, test } from "vitest";
import { emptyGraph, int, type Graph } from "../../src/onnx/model.js";
import { tensor } from "../../src/onnx/tensor.js";
import { prunableLayers } from "../../src/layers/layers.js";

interface NodeOptions {
  name?: string;
  transB?: boolean;
}

class Sketch {
  readonly graph: Graph = emptyGraph("sketch");

  weight(name: string, ...dims: number[]): string {
    const size = dims.reduce((product, dim) => product * dim, 1);
    this.graph.initializers.set(name, tensor("float32", dims, new Float32Array(size)));
    return name;
  }

  node(op: string, inputs: string[], output: string, options: NodeOptions = {}): this {
    this.graph.nodes.push({
      op,
      domain: "",
      name: options.name ?? "",
      inputs,
      outputs: [output],
      attributes: new Map(options.transB === true ? [["transB", int(1)]] : []),
    });
    return this;
  }
}

describe("prunableLayers", () => {
  test("Conv, Gemm in both layouts and MatMul, with their biases", () => {
    const s = new Sketch();
    s.node("Conv", ["x", s.weight("c.w", 8, 3, 5, 5), s.weight("c.b", 8)], "y", { name: "conv" });
    s.node("Gemm", ["y", s.weight("a.w", 8, 5), s.weight("a.b", 5)], "z", { name: "a" });
    s.node("Gemm", ["z", s.weight("b.w", 7, 5), s.weight("b.b", 7)], "u", { name: "b", transB: true });
    s.node("MatMul", ["u", s.weight("m.w", 7, 4)], "v", { name: "m" });
    s.node("Add", [s.weight("m.b", 4), "v"], "w");
    expect(prunableLayers(s.graph)).toEqual([
      { name: "conv", weight: "c.w", bias: "c.b", dims: [8, 3, 5, 5], transposed: false },
      { name: "a", weight: "a.w", bias: "a.b", dims: [8, 5], transposed: true },
      { name: "b", weight: "b.w", bias: "b.b", dims: [7, 5], transposed: false },
      { name: "m", weight: "m.w", bias: "m.b", dims: [7, 4], transposed: true },
    ]);
  });

  test("names come from the node, else from the weight without its ending", () => {
    const s = new Sketch();
    s.node("Gemm", ["x", s.weight("one.weight", 4, 4)], "a", { name: "first" });
    s.node("Gemm", ["a", s.weight("two.weight", 4, 4)], "b");
    s.node("Gemm", ["b", s.weight("three_weight", 4, 4)], "c");
    s.node("Gemm", ["c", s.weight("W4", 4, 4)], "d");
    s.node("Gemm", ["d", s.weight(".weight", 4, 4)], "e");
    expect(prunableLayers(s.graph).map((layer) => layer.name)).toEqual([
      "first",
      "two",
      "three",
      "W4",
      ".weight",
    ]);
  });

  test("a name that is taken gets a number, also where that is taken too", () => {
    const s = new Sketch();
    s.node("Gemm", ["x", s.weight("a", 4, 4)], "p", { name: "fc_2" });
    s.node("Gemm", ["p", s.weight("b", 4, 4)], "q", { name: "fc" });
    s.node("Gemm", ["q", s.weight("c", 4, 4)], "r", { name: "fc" });
    s.node("Gemm", ["r", s.weight("fc.weight", 4, 4)], "s");
    expect(prunableLayers(s.graph).map((layer) => layer.name)).toEqual(["fc_2", "fc", "fc_3", "fc_4"]);
  });

  test("a weight that several nodes use is one layer", () => {
    const s = new Sketch();
    s.weight("shared", 4, 4);
    s.node("MatMul", ["x", "shared"], "y").node("MatMul", ["y", "shared"], "z");
    expect(prunableLayers(s.graph).map((layer) => layer.weight)).toEqual(["shared"]);
  });

  test("products of two computed values, stacks of matrices and foreign domains are no layers", () => {
    const s = new Sketch();
    s.node("MatMul", ["x", "y"], "z");
    s.node("MatMul", ["z", s.weight("stack", 2, 4, 4)], "u");
    s.node("MatMul", [s.weight("left", 4, 4), "u"], "v");
    s.node("Relu", ["v"], "w");
    s.node("Conv", ["w", s.weight("foreign", 4, 4, 3, 3)], "o");
    for (const node of s.graph.nodes) if (node.op === "Conv") node.domain = "com.example";
    expect(prunableLayers(s.graph)).toEqual([]);
  });

  test("what is no bias: an Add on a value that others use, a tensor of another size", () => {
    const s = new Sketch();
    s.node("MatMul", ["x", s.weight("a.weight", 4, 3)], "a");
    s.node("Add", ["a", s.weight("a.bias", 3)], "b").node("Relu", ["a"], "side");
    s.node("Gemm", ["b", s.weight("b.weight", 3, 3), s.weight("scalar", 1)], "c");
    s.node("MatMul", ["c", s.weight("c.weight", 3, 3)], "d");
    s.node("Add", ["d", s.weight("table", 3, 1)], "e");
    s.node("MatMul", ["e", s.weight("d.weight", 3, 3)], "f");
    s.node("Add", ["f", s.weight("d.bias", 3)], "g");
    s.graph.outputs.push({ name: "f", type: undefined });
    expect(prunableLayers(s.graph).map((layer) => layer.bias)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
