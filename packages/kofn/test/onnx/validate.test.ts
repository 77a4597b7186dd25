import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { emptyGraph, float, type Graph, type Model, type Node, string } from "../../src/onnx/model.js";
import { tensorFrom } from "../../src/onnx/tensor.js";
import { checkOpsets, topologicalSort, validate } from "../../src/onnx/validate.js";
import { modelOf, node, smallModel } from "./messages.js";

/** A chain x -> a -> b -> c of Relus, c being the output. */
const chain = (): Graph => ({
  ...emptyGraph("chain"),
  inputs: [{ name: "x", type: { dtype: "float32", shape: [1] } }],
  outputs: [{ name: "c", type: undefined }],
  nodes: [node("Relu", ["x"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["c"])],
});
const changed = (change: (graph: Graph) => void): Model => {
  const graph = chain();
  change(graph);
  return modelOf(graph);
};

describe("validate", () => {
  test("accepts well-formed models", () => {
    expect(() => {
      validate(smallModel());
    }).not.toThrow();
    expect(() => {
      validate(modelOf(chain()));
    }).not.toThrow();
  });

  test.each<[string, (graph: Graph) => void, string]>([
    [
      "an output that nothing makes",
      (g) => g.outputs.push({ name: "d", type: undefined }),
      'graph: nothing makes its output "d"',
    ],
    ["an output twice", (g) => g.outputs.push(g.outputs[0]), 'graph: "c" is an output twice'],
    ["no outputs", (g) => (g.outputs = []), "graph: it has no outputs"],
    [
      "an input that nothing makes",
      (g) => (g.nodes[1].inputs = ["q"]),
      'graph.node[1] (Relu "b"): nothing makes its input "q"',
    ],
    [
      "a name made twice by nodes",
      (g) => (g.nodes[1].outputs = ["a", "b"]),
      '"a" is made twice, by graph.node[0] (Relu "a") and by graph.node[1] (Relu "a")',
    ],
    [
      "a name made by a node and an input",
      (g) => (g.nodes[0].outputs = ["x", "a"]),
      `"x" is made twice, by the graph's inputs and by graph.node[0]`,
    ],
    [
      "a name made by a node and an initializer",
      (g) => g.initializers.set("a", tensorFrom("float32", [], [1])),
      '"a" is made twice, by the initializers and by graph.node[0]',
    ],
    [
      "an input twice",
      (g) => g.inputs.push(g.inputs[0]),
      `"x" is made twice, by the graph's inputs and by the graph's inputs`,
    ],
    [
      "an input without name",
      (g) => g.inputs.push({ name: "", type: undefined }),
      "graph: an input has no name",
    ],
    [
      "an initializer without name",
      (g) => g.initializers.set("", tensorFrom("float32", [], [1])),
      "graph: an initializer has no name",
    ],
    [
      "an initializer of another type than its input",
      (g) => g.initializers.set("x", tensorFrom("float32", [2], [1, 2])),
      'initializer "x" is float32[2], but the input of that name float32[1]',
    ],
    [
      "a node without operator",
      (g) => (g.nodes[0].op = ""),
      'graph.node[0] ( "a"): its operator has no name',
    ],
    [
      "a node without outputs",
      (g) => g.nodes.push(node("Relu", ["x"], [""])),
      'graph.node[3] (Relu ""): it has no outputs',
    ],
    ["nodes out of order", (g) => g.nodes.reverse(), "graph: its nodes are out of order"],
    [
      "a cycle",
      (g) => (g.nodes[0].inputs = ["c"]),
      'graph: its nodes form a cycle: Relu "a" -> Relu "b" -> Relu "c" -> Relu "a"',
    ],
    [
      "a node that reads its own output",
      (g) => (g.nodes[0].inputs = ["a"]),
      'its nodes form a cycle: Relu "a" -> Relu "a"',
    ],
    [
      "an attribute of the wrong kind",
      (g) => g.nodes[0].attributes.set("axis", float(1)),
      'graph.node[0] (Relu "a"): its attribute "axis" is of kind float where int is expected',
    ],
    [
      "a domain without version",
      (g) => (g.nodes[0].domain = "com.example"),
      `graph.node[0] (Relu "a"): the model's opset_import does not name its domain "com.example"`,
    ],
    [
      "a fractional dimension",
      (g) => g.valueTypes.set("a", { dtype: "float32", shape: [1.5] }),
      'value "a" has the dimension 1.5',
    ],
    [
      "a dimension with an empty name",
      (g) => (g.inputs[0].type = { dtype: "float32", shape: [""] }),
      'value "x" has the dimension ""',
    ],
  ])("refuses %s", (_, change, expected) => {
    const model = changed(change);
    expect(() => {
      validate(model, "m.onnx");
    }).toThrow(InputError);
    expect(() => {
      validate(model, "m.onnx");
    }).toThrow(expected);
    expect(() => {
      validate(model, "m.onnx");
    }).toThrow(/^m\.onnx: the model is not well formed: /);
  });

  test("looks into subgraphs, which may use values around them", () => {
    const model = smallModel();
    const branch = model.graph.nodes[2].attributes.get("then_branch");
    if (branch?.kind !== "graph") throw new Error("no branch");
    branch.value.nodes[0].inputs[0] = "nowhere";
    expect(() => {
      validate(model);
    }).toThrow(
      'graph.node[2] (If "z"), then_branch.node[0] (Mul "twice_z"): nothing makes its input "nowhere"',
    );
  });

  test("finds that a subgraph uses a value before it is made", () => {
    const model = smallModel();
    const [gemm, relu, branch] = model.graph.nodes;
    model.graph.nodes = [gemm, branch, relu];
    expect(() => {
      validate(model);
    }).toThrow("well formed: graph: its nodes are out of order");
    expect(topologicalSort(model.graph)).toEqual([gemm, relu, branch]);
  });

  test("reports the first few problems at once, and how many there are", () => {
    const model = changed((graph) => {
      for (let i = 0; i < 7; i++) graph.outputs.push({ name: `o${i}`, type: undefined });
    });
    expect(() => {
      validate(model);
    }).toThrow(/"o0"; .*"o4"; and 2 more$/);
  });

  test("accepts kofn's own dialect, and attributes of other domains", () => {
    const model = changed((graph) => {
      graph.nodes[0].domain = "kofn";
      graph.nodes[0].attributes.set("axis", string("any"));
    });
    expect(() => {
      validate(model);
    }).not.toThrow();
  });
});

describe("checkOpsets", () => {
  test.each([
    [6, /version 6 of the standard operators \(ai\.onnx\), and kofn reads 7 to 26/],
    [27, /version 27 of the standard operators/],
    [undefined, /opset_import does not say which version/],
  ])("refuses version %s", (version, expected) => {
    const model = modelOf(chain());
    model.opsets = new Map(version === undefined ? [] : [["", version]]);
    expect(() => {
      checkOpsets(model);
    }).toThrow(InputError);
    expect(() => {
      checkOpsets(model);
    }).toThrow(expected);
  });

  test("refuses IR versions that onnxruntime does not read", () => {
    expect(() => {
      checkOpsets({ ...modelOf(chain()), irVersion: 99 });
    }).toThrow(/IR version 99, and kofn reads 1 to 13/);
  });

  test.each([7, 26])("accepts version %s", (version) => {
    const model = { ...modelOf(chain()), opsets: new Map([["", version]]) };
    expect(() => {
      checkOpsets(model);
    }).not.toThrow();
  });
});

describe("topologicalSort", () => {
  test("leaves ordered nodes and orders others", () => {
    const graph = chain();
    const ordered = [...graph.nodes];
    expect(topologicalSort(graph)).toEqual(ordered);
    graph.nodes.reverse();
    expect(topologicalSort(graph)).toEqual(ordered);
  });

  test("refuses cycles", () => {
    const graph = chain();
    graph.nodes[0].inputs = ["c"];
    expect(() => topologicalSort(graph)).toThrow('graph "chain": its nodes form a cycle');
  });

  test("orders chains longer than the call stack", () => {
    const nodes: Node[] = Array.from({ length: 100_000 }, (_, i) => node("Relu", [`v${i}`], [`v${i + 1}`]));
    const graph = { ...emptyGraph("long"), nodes: [...nodes].reverse() };
    const sorted = topologicalSort(graph);
    expect(sorted.every((found, i) => found === nodes[i])).toBe(true);
  });
});
