/** The passes that simplify graphs: what each removes, what it must keep, and that values stay the same. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Attribute, emptyGraph, type Graph, int, ints, type Node } from "../../src/onnx/model.js";
import { foldConstants, mergeCommonSubexpressions, removeDeadCode, simplify } from "../../src/onnx/passes.js";
import { printGraph } from "../../src/onnx/print.js";
import { Tensor, tensorFrom } from "../../src/onnx/tensor.js";

const matrix = (dims: readonly number[], ...values: number[]): Tensor => tensorFrom("float32", dims, values);

/** An If without inputs of its own: both branches read `captured` from the graph around it. */
function ifNode(condition: string, captured: string, output: string): Node {
  const branch = (name: string): Attribute => {
    const graph = emptyGraph(name);
    graph.nodes.push({
      op: "Neg",
      domain: "",
      name: "",
      inputs: [captured],
      outputs: [`${name}_y`],
      attributes: new Map(),
    });
    graph.outputs.push({ name: `${name}_y`, type: { dtype: "float32", shape: [2] } });
    return { kind: "graph", value: graph };
  };
  return {
    op: "If",
    domain: "",
    name: "if",
    inputs: [condition],
    outputs: [output],
    attributes: new Map([
      ["then_branch", branch("then")],
      ["else_branch", branch("else")],
    ]),
  };
}

describe("removeDeadCode", () => {
  test("removes nodes and initializers that no output depends on", () => {
    const b = new Builder(emptyGraph("dead"));
    const x = b.input("x", "float32", [2]);
    const used = b.initializer("used", matrix([2], 1, 2));
    const unused = b.initializer("unused", matrix([2], 3, 4));
    b.output(b.add(x, used, "y"));
    b.op("Relu", [b.mul(x, unused, "dead")], {}, "deader");
    removeDeadCode(b.graph);
    expect(printGraph(b.graph)).toMatchInlineSnapshot(`
      "graph "dead"
      input %x: float32[2]
      init used: float32[2] {1, 2}
      %y: float32[2] = Add(%x, used)
      output %y: float32[2]"
    `);
  });

  test("keeps a node of which one output is used", () => {
    const b = new Builder(emptyGraph("top"));
    const x = b.input("x", "float32", [1, 4]);
    const [, indices] = b.ops("TopK", [x, b.vector([2])], {}, ["values", "indices"]);
    b.output(indices);
    removeDeadCode(b.graph);
    expect(b.graph.nodes.map(({ outputs }) => outputs)).toEqual([["values", "indices"]]);
  });

  test("does not take an input that is left out for a use of an output that is left out", () => {
    const b = new Builder(emptyGraph("left out"));
    const x = b.input("x", "float32", [2]);
    b.push({
      op: "TopK",
      domain: "",
      name: "dead",
      inputs: [x, b.vector([1])],
      outputs: ["", "indices"],
      attributes: new Map(),
    });
    b.output(b.op("Clip", [x, "", b.scalar(1, x)], {}, "y"));
    removeDeadCode(b.graph);
    expect(b.graph.nodes.map(({ op }) => op)).toEqual(["Clip"]);
  });

  test("keeps what a subgraph reads", () => {
    const b = new Builder(emptyGraph("captured"));
    const x = b.input("x", "float32", [2]);
    b.input("condition", "bool", []);
    b.add(x, b.initializer("w", matrix([2], 1, 2)), "captured");
    b.graph.nodes.push(ifNode("condition", "captured", "y"));
    b.graph.outputs.push({ name: "y", type: { dtype: "float32", shape: [2] } });
    removeDeadCode(b.graph);
    expect(b.graph.nodes.map(({ op }) => op)).toEqual(["Add", "If"]);
    expect([...b.graph.initializers.keys()]).toEqual(["w"]);
  });
});

describe("foldConstants", () => {
  test("computes what depends on constants alone", () => {
    const b = new Builder(emptyGraph("fold"));
    const x = b.input("x", "float32", [2]);
    const sum = b.add(b.initializer("a", matrix([2], 1, 2)), b.initializer("b", matrix([2], 3, 4)), "sum");
    const twice = b.mul(sum, b.scalar(2, sum), "twice");
    b.output(b.mul(x, twice, "y"));
    foldConstants(b.graph);
    removeDeadCode(b.graph);
    expect(printGraph(b.graph)).toMatchInlineSnapshot(`
      "graph "fold"
      input %x: float32[2]
      init twice: float32[2] {8, 12}
      %y: float32[2] = Mul(%x, twice)
      output %y: float32[2]"
    `);
  });

  test("computes shapes that are known", () => {
    const b = new Builder(emptyGraph("shape"));
    const x = b.input("x", "float32", [4, 3, 2]);
    const batch = b.op("Gather", [b.op("Shape", [x]), b.vector([0])]);
    const shape = b.op("Concat", [batch, b.vector([-1])], { axis: int(0) }, "target");
    b.output(b.op("Reshape", [x, shape], {}, "y"));
    foldConstants(b.graph);
    removeDeadCode(b.graph);
    expect(printGraph(b.graph)).toMatchInlineSnapshot(`
      "graph "shape"
      input %x: float32[4, 3, 2]
      init target: int64[2] {4, -1}
      %y: float32[?, ?] = Reshape(%x, target)
      output %y: float32[?, ?]"
    `);
  });

  test("computes known parts of shapes, and keeps shapes that are not known", () => {
    const graph = emptyGraph("open");
    const type = { dtype: "float32", shape: ["batch", 3] } as const;
    graph.inputs.push({ name: "x", type });
    const b = new Builder(graph);
    b.output(b.op("Identity", [b.op("Shape", ["x"], {}, "whole")]));
    b.output(b.op("Identity", [b.op("Shape", ["x"], { start: int(1) }, "part")]));
    foldConstants(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Shape", "Identity", "Identity"]);
    expect(graph.initializers.get("part")?.numbers()).toEqual([3]);
  });

  test("keeps graph outputs as nodes, and initializers that may be overridden", () => {
    const b = new Builder(emptyGraph("kept"));
    b.input("default", "float32", [2]);
    b.graph.initializers.set("default", matrix([2], 1, 1));
    const constant = b.initializer("constant", matrix([2], 1, 2));
    b.output(b.op("Neg", [constant], {}, "negative"));
    b.output(b.op("Identity", [b.op("Exp", ["default"], {}, "computed")], {}, "y"));
    foldConstants(b.graph);
    expect(b.graph.nodes.map(({ outputs }) => outputs[0])).toEqual(["negative", "computed", "y"]);
  });

  test("leaves large results and types that kofn does not compute with to run time", () => {
    const b = new Builder(emptyGraph("left"));
    b.output(b.op("Identity", [b.fill(0, "float32", [1 << 17], "large")], {}, "y"));
    const half = b.initializer("half", new Tensor("float16", [2], new Uint8Array(4)));
    b.output(b.op("Identity", [b.op("Cast", [half], { to: int(1) }, "wide")], {}, "z"));
    foldConstants(b.graph);
    expect(b.graph.nodes.map(({ op }) => op)).toEqual(["ConstantOfShape", "Identity", "Cast", "Identity"]);
  });

  test("makes no initializer of an output that is left out", () => {
    const b = new Builder(emptyGraph("left out"));
    const data = b.initializer("data", matrix([3], 1, 3, 2));
    b.push({
      op: "TopK",
      domain: "",
      name: "top",
      inputs: [data, b.vector([1])],
      outputs: ["", "index"],
      attributes: new Map(),
    });
    b.output(b.op("Identity", ["index"], {}, "y"));
    foldConstants(b.graph);
    expect(b.graph.initializers.has("")).toBe(false);
    expect(evaluateGraph(b.graph, new Map()).get("y")?.numbers()).toEqual([1]);
  });
});

describe("mergeCommonSubexpressions", () => {
  test("merges equal nodes, and then what they made equal", () => {
    const b = new Builder(emptyGraph("common"));
    const x = b.input("x", "float32", [2, 2]);
    const first = b.op("Exp", [b.transpose(x, [1, 0], "first")], {}, "e1");
    const second = b.op("Exp", [b.transpose(x, [1, 0], "second")], {}, "e2");
    b.output(b.add(first, second, "y"));
    mergeCommonSubexpressions(b.graph);
    expect(printGraph(b.graph)).toMatchInlineSnapshot(`
      "graph "common"
      input %x: float32[2, 2]
      %first: float32[2, 2] = Transpose(%x; perm=[1, 0])
      %e1: float32[2, 2] = Exp(%first)
      %y: float32[2, 2] = Add(%e1, %e1)
      output %y: float32[2, 2]"
    `);
  });

  test("keeps nodes whose attributes, inputs or operators differ, and graph outputs", () => {
    const b = new Builder(emptyGraph("different"));
    const x = b.input("x", "float32", [2, 2]);
    for (const [op, axis] of [
      ["Softmax", 0],
      ["Softmax", 1],
      ["LogSoftmax", 1],
    ] as const) {
      b.op("Identity", [b.op(op, [x], { axis: int(axis) })]);
    }
    b.output(b.op("Neg", [x], {}, "y"));
    b.output(b.op("Neg", [x], {}, "z"));
    mergeCommonSubexpressions(b.graph);
    expect(b.graph.nodes).toHaveLength(8);
  });

  test("keeps a value that a subgraph reads", () => {
    const b = new Builder(emptyGraph("captured"));
    const x = b.input("x", "float32", [2]);
    b.input("condition", "bool", []);
    const first = b.op("Exp", [x], {}, "first");
    b.op("Exp", [x], {}, "second");
    b.output(b.op("Identity", [first], {}, "z"));
    b.graph.nodes.push(ifNode("condition", "second", "y"));
    b.graph.outputs.push({ name: "y", type: { dtype: "float32", shape: [2] } });
    mergeCommonSubexpressions(b.graph);
    expect(b.graph.nodes.flatMap(({ outputs }) => outputs)).toContain("second");
  });

  test("does not merge a node that leaves an output out with one that has it", () => {
    const b = new Builder(emptyGraph("left out"));
    const x = b.input("x", "float32", [3]);
    const inputs = [x, b.vector([1])];
    const top = { op: "TopK", domain: "", inputs, attributes: new Map<string, Attribute>() };
    b.push({ ...top, name: "a", outputs: ["", "index"] });
    b.push({ ...top, name: "b", outputs: ["value", "index2"] });
    b.output(b.op("Identity", ["value"], {}, "y"));
    b.output(b.op("Identity", ["index"], {}, "z"));
    mergeCommonSubexpressions(b.graph);
    const values = evaluateGraph(b.graph, new Map([["x", matrix([3], 1, 5, 2)]]));
    expect(values.get("y")?.numbers()).toEqual([5]);
  });

  test("keeps operators that it does not know, such as random ones", () => {
    const graph = emptyGraph("random");
    for (const name of ["a", "b"]) {
      graph.nodes.push({
        op: "RandomNormal",
        domain: "",
        name,
        inputs: [],
        outputs: [name],
        attributes: new Map([["shape", ints([2])]]),
      });
    }
    graph.nodes.push({
      op: "Sub",
      domain: "",
      name: "",
      inputs: ["a", "b"],
      outputs: ["y"],
      attributes: new Map(),
    });
    graph.outputs.push({ name: "y", type: { dtype: "float32", shape: [2] } });
    simplify(graph);
    expect(graph.nodes).toHaveLength(3);
  });
});

/** A graph of random elementwise nodes over inputs, constants and shapes; every seventh value is an output. */
function randomGraph(choices: readonly (readonly [number, number, number])[]): Graph {
  const b = new Builder(emptyGraph("random"));
  const values = [
    b.input("x", "float64", [2, 3]),
    b.input("y", "float64", [2, 3]),
    b.initializer("c", tensorFrom("float64", [2, 3], [1, -2, 3, 0.5, 2, -1])),
    b.initializer("row", tensorFrom("float64", [1, 3], [0.5, 1, -1])),
  ];
  for (const [kind, left, right] of choices) {
    const a = values[left % values.length];
    const c = values[right % values.length];
    const make = [
      () => b.add(a, c),
      () => b.mul(a, c),
      () => b.op("Tanh", [a]),
      () => b.neg(a),
      () => b.transpose(b.transpose(a, [1, 0]), [1, 0]),
      () => b.mul(a, b.op("Cast", [b.op("Gather", [b.op("Shape", [c]), b.vector([1])])], { to: int(11) })),
    ];
    values.push(make[kind % make.length]());
  }
  values.slice(4).forEach((value, i) => {
    if (i % 7 === 0 || i === choices.length - 1) b.output(value);
  });
  return b.graph;
}

describe("simplify", () => {
  test("leaves every output's value and name as they are", () => {
    const choice = fc.tuple(fc.nat(5), fc.nat(20), fc.nat(20));
    fc.assert(
      fc.property(fc.array(choice, { minLength: 1, maxLength: 20 }), (choices) => {
        const feeds = new Map([
          ["x", tensorFrom("float64", [2, 3], [0.1, -0.2, 0.3, 0.4, -0.5, 0.6])],
          ["y", tensorFrom("float64", [2, 3], [1, 2, -1, -2, 0.25, 0])],
        ]);
        const expected = evaluateGraph(randomGraph(choices), feeds);
        const simplified = randomGraph(choices);
        const before = simplified.nodes.length;
        simplify(simplified);
        expect(simplified.nodes.length).toBeLessThanOrEqual(before);
        expect(evaluateGraph(simplified, feeds)).toEqual(expected);
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});
