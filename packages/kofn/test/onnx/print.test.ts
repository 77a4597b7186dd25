import { describe, expect, test } from "vitest";
import { emptyGraph, int, type Graph } from "../../src/onnx/model.js";
import { printGraph } from "../../src/onnx/print.js";
import { Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { node, OTHER_ATTRIBUTES, smallModel } from "./messages.js";

describe("printGraph", () => {
  test("prints a model", () => {
    expect(printGraph(smallModel())).toMatchInlineSnapshot(`
      "graph "small" (opset 21)
      input %x: float32[batch, 2]
      input %double: bool[]
      init w: float32[3, 2] {1, 2, 3, 4, -5, -6}
      init b: float32[3] {0.5, 0, -0.5}
      %h: float32[batch, 3] = Gemm(%x, w, b; alpha=1, transB=1)
      %y: float32[batch, 3] = Relu(%h)
      %z: float32[?, 3] = If(%double; else_branch=graph, then_branch=graph)
        then_branch: graph "twice"
        init twice_factor: float32[] {2}
        %twice_z: float32[*] = Mul(%y, twice_factor)
        output %twice_z: float32[*]
        else_branch: graph "once"
        init once_factor: float32[] {1}
        %once_z: float32[*] = Mul(%y, once_factor)
        output %once_z: float32[*]
      output %y: float32[batch, 3]
      output %z: float32[?, 3]"
    `);
  });

  test("prints attributes of every kind, what is left out, and other domains", () => {
    const graph: Graph = {
      ...emptyGraph("g"),
      inputs: [{ name: "x", type: undefined }],
      nodes: [
        { ...node("Op", ["x", "", "x"], ["", "y"], OTHER_ATTRIBUTES), domain: "com.example" },
        node(
          "Cast",
          ["y"],
          ["z"],
          new Map([
            ["to", int(7)],
            ["opaque", { kind: "opaque", value: new Uint8Array(3) }],
          ]),
        ),
      ],
      outputs: [{ name: "z", type: { dtype: "int64", shape: undefined } }],
    };
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph "g"
      input %x
      _, %y = com.example.Op(%x, _, %x; floats=[0, -1.5, 1e+30], ints=[0, -1, 1099511627776], string="é", strings=["", "�\\u0000"], tensor=int64[2] {1, -1})
      %z: int64[*] = Cast(%y; opaque=<3 bytes>, to=int64)
      output %z: int64[*]"
    `);
  });

  test("shortens tensors", () => {
    const graph: Graph = {
      ...emptyGraph("g"),
      initializers: new Map<string, Tensor>([
        ["scalar", tensorFrom("float32", [], [0.1])],
        ["eight", tensorFrom("int64", [8], [1, 2, 3, 4, 5, 6, 7, 8])],
        ["nine", tensorFrom("uint8", [3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9])],
        ["empty", tensorFrom("float32", [0, 3], [])],
        ["half", new Tensor("float16", [2], new Uint8Array(4))],
        ["large", tensorFrom("float64", [1000], new Float64Array(1000).fill(Number.NaN))],
      ]),
    };
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph "g"
      init scalar: float32[] {0.1}
      init eight: int64[8] {1, 2, 3, 4, 5, 6, 7, 8}
      init nine: uint8[3, 3] {1, 2, 3, ...}
      init empty: float32[0, 3]
      init half: float16[2]
      init large: float64[1000] {NaN, NaN, NaN, ...}"
    `);
  });
});
