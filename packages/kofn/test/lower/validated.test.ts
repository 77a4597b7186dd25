/** That tests validate the graph after every pass, whoever calls the pass: `support/validated-passes.ts`. */

import { expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.js";
import { importModel } from "../../src/import/import.js";
import { lower } from "../../src/lower/lower.js";
import { modelOf } from "../../src/lower/model.js";
import { poolByPhases } from "../../src/lower/pool-phases.js";
import { atBatch } from "../../src/onnx/batch.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, type Graph } from "../../src/onnx/model.js";
import { foldConstants, mergeCommonSubexpressions, removeDeadCode, simplify } from "../../src/onnx/passes.js";
import * as support from "../support/execute.js";

/** A graph that makes one of its values twice, which no pass looks for. */
function malformed(): Graph {
  const b = new Builder(emptyGraph("malformed"));
  b.input("x", "float32", []);
  b.op("Relu", ["x"], {}, "y");
  b.output("y");
  b.graph.nodes.push({ ...b.graph.nodes[0], op: "Tanh" });
  return b.graph;
}

test.each<[string, (graph: Graph) => unknown]>([
  ["foldConstants", foldConstants],
  ["mergeCommonSubexpressions", mergeCommonSubexpressions],
  ["removeDeadCode", removeDeadCode],
  ["simplify", simplify],
  ["poolByPhases", (graph) => poolByPhases(graph, 16)],
  ["differentiate", (graph) => differentiate(new Builder(graph), "y", ["x"])],
  ["lower", (graph) => lower(graph)],
])("%s leaves a graph that is validated", (pass, run) => {
  expect(() => run(malformed())).toThrow(new RegExp(`after ${pass}: .*"y" is made twice`));
});

test.each<[string, string, (graph: Graph) => unknown]>([
  ["importModel", "removeDeadCode", (graph) => importModel(support.modelOf(graph))],
  ["atBatch", "foldConstants", (graph) => atBatch(graph, "x", [], [])],
  ["modelOf", "lower", (graph) => modelOf(graph)],
])("%s validates what %s leaves in it", (_, pass, run) => {
  expect(() => run(malformed())).toThrow(new RegExp(`after ${pass}: .*"y" is made twice`));
});
