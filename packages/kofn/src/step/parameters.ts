/** Which of a model's stored tensors are parameters that training changes, and why the others are left alone. */

import { RULES } from "../autodiff/rules.js";
import { isConstantName, weightInputs, weightNames } from "../import/constants.js";
import type { Graph, Node } from "../onnx/model.js";
import { opOf } from "../onnx/ops.js";
import { runningStatistics } from "./batch-norm.js";

/** A stored float tensor that is no parameter, and why. */
export interface FixedTensor {
  readonly name: string;
  readonly reason: string;
}

/** The stored float32 tensors of a graph, without the running statistics of batch normalisation. */
export interface StoredTensors {
  readonly parameters: readonly string[];
  readonly fixed: readonly FixedTensor[];
}

const OF_INPUT = "shifts or scales the input";
const OF_FORMULA = "bound, exponent or size of a formula";
const BY_CONSTANT_NODE = "made by a Constant node";
const SINGLE = "single number";
const UNUSED = "takes no part in what the model computes from its input";

/** Operators that hand on the input of a graph, moved, shifted or scaled. */
const PREPARING: ReadonlySet<string> = new Set(
  (
    "Add Cast Clip Concat DepthToSpace Div Expand Flatten Gather Identity Mul Neg Pad Reshape Resize Slice SpaceToDepth " +
    "Split Squeeze Sub Transpose Unsqueeze"
  ).split(" "),
);

/** Operators in which a single number may be learnt: a gate, or an offset. */
const ARITHMETIC: ReadonlySet<string> = new Set(["Add", "Sub", "Mul", "Div"]);

/** What a value is made of: constants alone; the input, but for its preparation; or what layers give. */
type Origin = "constant" | "input" | "layers";

/**
 * Tells parameters from constants. Weights and biases of Conv, ConvTranspose, Gemm and MatMul (and what an Add puts on
 * their results), scale and bias of normalisations, and slopes of PRelu are parameters. So is every other stored tensor
 * that meets what layers give (position tables, class tokens, scales of normalisations that are written out), but not:
 *
 * - what shifts or scales the input before any layer: its normalisation;
 * - bounds of Clip, Max and Min, scales of Resize, and whole exponents of Pow: away from these, powers of negative numbers do not exist;
 * - what Constant nodes made (`constantName`): exporters write formulas with them;
 * - tensors of one number, unless it is a factor or a summand and is named like a module's parameter, by parts with dots
 *   between them ("blocks.0.gate"): other names are those of formulas, too.
 *
 * @param graph in the form of `importModel`.
 */
export function storedTensors(graph: Graph): StoredTensors {
  const statistics = new Set(runningStatistics(graph));
  const uses = usesOf(graph);
  const parameters: string[] = [];
  const fixed: FixedTensor[] = [];
  for (const [name, { dtype, size }] of graph.initializers) {
    if (dtype !== "float32" || statistics.has(name)) continue;
    const reason = reasonFor(name, size, uses.get(name) ?? new Set());
    if (reason === undefined) parameters.push(name);
    else fixed.push({ name, reason });
  }
  return { parameters, fixed };
}

/** Names of the parameters that are trained; see {@link storedTensors}. */
export function trainable(graph: Graph): string[] {
  return [...storedTensors(graph).parameters];
}

/** What a constant is used for, by nodes that compute from the input. */
type Use = "weight" | "arithmetic" | "operand" | "formula" | "preparation";

/** Why a stored tensor is no parameter; undefined if it is one. */
function reasonFor(name: string, size: number, uses: ReadonlySet<Use>): string | undefined {
  if (uses.has("weight")) return undefined;
  if (!uses.has("arithmetic") && !uses.has("operand")) {
    if (uses.has("preparation")) return OF_INPUT;
    return uses.has("formula") ? OF_FORMULA : UNUSED;
  }
  if (isConstantName(name)) return BY_CONSTANT_NODE;
  if (size > 1) return undefined;
  return uses.has("arithmetic") && /^[^/:]+\.[^/:]+$/.test(name) ? undefined : SINGLE;
}

/** The uses of every constant, those of what is computed from it among them. */
function usesOf(graph: Graph): Map<string, Set<Use>> {
  const weights = weightNames(graph);
  const origins = new Map<string, Origin>(graph.inputs.map(({ name }) => [name, "input"]));
  const originOf = (name: string): Origin =>
    graph.initializers.has(name) ? "constant" : (origins.get(name) ?? "constant");
  for (const node of graph.nodes) {
    const origin = originOfNode(node, originOf);
    for (const output of node.outputs) origins.set(output, origin);
  }
  const uses = new Map<string, Set<Use>>();
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    const origin = originOf(node.outputs[0]);
    node.inputs.forEach((name, position) => {
      if (name === "" || originOf(name) !== "constant") return;
      const own = uses.get(name) ?? new Set<Use>();
      uses.set(name, own);
      if (weights.has(name)) own.add("weight");
      else if (isFormula(graph, node, position)) own.add("formula");
      else if (origin === "input") own.add("preparation");
      else if (origin === "layers") own.add(ARITHMETIC.has(node.op) ? "arithmetic" : "operand");
      else for (const output of node.outputs) for (const use of uses.get(output) ?? []) own.add(use);
    });
  }
  return uses;
}

function originOfNode(node: Node, originOf: (name: string) => Origin): Origin {
  if (RULES[opOf(node)] === "zero") return "constant";
  const origins = node.inputs.map((name) => (name === "" ? "constant" : originOf(name)));
  if (origins.every((origin) => origin === "constant")) return "constant";
  const prepares = PREPARING.has(node.op) && weightInputs(node).length === 0;
  return prepares && !origins.includes("layers") ? "input" : "layers";
}

/** Whether the node's input is a bound, or an exponent that is meant as it is. */
function isFormula({ initializers }: Graph, { op, inputs }: Node, position: number): boolean {
  if (op === "Max" || op === "Min") return true;
  if (op === "Clip" || op === "Resize") return position > 0;
  return (
    op === "Pow" && position === 1 && initializers.get(inputs[1])?.numbers().every(Number.isInteger) === true
  );
}
