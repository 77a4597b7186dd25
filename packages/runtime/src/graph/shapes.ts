/** The shapes of all values of a graph, for one sample. An operator that is not in this table is not supported. */

import { NetworkError } from "../errors.js";
import { constantOf, listOf, numberOf, numbersOf, refuse } from "./node.js";
import { QUANTIZE } from "./quantizers.js";
import { type Dims, type Graph, type Node, sizeOf } from "./types.js";
import { windowOf } from "./window.js";

/** @param inputs the shapes of the node's inputs; [] for those that are left out */
type Rule = (node: Node, inputs: readonly Dims[], graph: Graph) => Dims;

/** The most elements of a value. */
const MOST = 2 ** 29;

/** @throws NetworkError naming the node whose operator or shapes are not supported. */
export function inferShapes(graph: Graph): Map<string, Dims> {
  const shapes = new Map<string, Dims>();
  for (const [name, { dims }] of graph.constants) shapes.set(name, dims);
  for (const { name, dims } of graph.inputs) {
    const [, ...rest] = dims ?? [];
    if (dims === undefined || dims.length < 2 || rest.some((dim) => dim === undefined)) {
      const found = dims?.map((dim) => dim ?? "?").join(", ") ?? "unknown";
      throw new NetworkError(`input "${name}" must have a fixed shape but for the batch, it has [${found}]`);
    }
    // One sample at a time, whatever batch the model was exported with.
    shapes.set(name, checked([1, ...rest.map(Number)], name));
  }
  for (const node of graph.nodes) {
    if (!Object.hasOwn(RULES, node.op)) refuse(node, "the runtime has no kernel for this operator");
    const inputs = node.inputs.map((name) => {
      const dims = name === "" ? [] : shapes.get(name);
      return dims ?? refuse(node, `its input "${name}" is not computed before it`);
    });
    const [output, ...others] = node.outputs;
    for (const name of others) {
      const isRead = name !== "" && graph.nodes.some(({ inputs: reads }) => reads.includes(name));
      if (isRead) refuse(node, `only its first output is supported, "${name}" is read`);
    }
    shapes.set(output, checked(RULES[node.op](node, inputs, graph), output));
  }
  return shapes;
}

function checked(dims: Dims, name: string): Dims {
  const isFit =
    dims.length <= 8 && dims.every((dim) => Number.isInteger(dim) && dim > 0) && sizeOf(dims) <= MOST;
  if (!isFit) throw new NetworkError(`"${name}" would have the shape [${dims.join(", ")}]`);
  return dims;
}

const same: Rule = (_, [x]) => x;

/** An axis, counted from the first; negative ones count from the last. */
export function axisOf(node: Node, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  return Number.isInteger(at) && at >= 0 && at < rank ? at : refuse(node, `axis ${axis} of ${rank}`);
}

/** The shape of an elementwise result of several shapes. */
const broadcast: Rule = (node, inputs) => {
  const rank = Math.max(...inputs.map((dims) => dims.length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = inputs.map((dims) => dims[i - rank + dims.length] ?? 1);
    const size = sizes.find((one) => one !== 1) ?? 1;
    const isFit = sizes.every((one) => one === 1 || one === size);
    return isFit
      ? size
      : refuse(node, `shapes [${inputs.map((dims) => dims.join(", ")).join("] and [")}] do not fit`);
  });
};

const conv: Rule = (node, [x, weight], graph) => {
  constantOf(graph, node, 1);
  const groups = numberOf(node, "group", 1);
  const [maps, channels, ...kernel] = weight;
  const isFit =
    x.length === 4 && x[0] === 1 && weight.length === 4 && channels * groups === x[1] && maps % groups === 0;
  if (!isFit) refuse(node, `a weight of [${weight.join(", ")}] in ${groups} groups for [${x.join(", ")}]`);
  const { y, x: columns } = windowOf(node, x, kernel);
  return [x[0], maps, y.output, columns.output];
};

const gemm: Rule = (node, [x, weight], graph) => {
  constantOf(graph, node, 1);
  const isTransposed = node.op === "Gemm" && numberOf(node, "transB", 0) !== 0;
  const [inputs, outputs] = isTransposed ? [weight[1], weight[0]] : weight;
  const isFit = x.length === 2 && weight.length === 2 && x[1] === inputs && numberOf(node, "transA", 0) === 0;
  if (!isFit) refuse(node, `a weight of [${weight.join(", ")}] for [${x.join(", ")}]`);
  return [x[0], outputs];
};

const pool: Rule = (node, [x]) => {
  const { y, x: columns } = windowOf(node, x);
  return [x[0], x[1], y.output, columns.output];
};

const globalPool: Rule = (node, [x]) =>
  x.length === 4 ? [x[0], x[1], 1, 1] : refuse(node, `only images are supported, not [${x.join(", ")}]`);

const reduceMean: Rule = (node, [x], graph) => {
  const axes = (numbersOf(graph, node, 1) ?? listOf(node, "axes") ?? []).map((axis) =>
    axisOf(node, axis, x.length),
  );
  if (x.length !== 4 || axes.length !== 2 || !axes.includes(2) || !axes.includes(3)) {
    refuse(
      node,
      `only the mean of height and width is supported, not of axes [${axes.join(", ")}] of [${x.join(", ")}]`,
    );
  }
  return numberOf(node, "keepdims", 1) === 0 ? [x[0], x[1]] : [x[0], x[1], 1, 1];
};

const flatten: Rule = (node, [x]) => {
  const axis = numberOf(node, "axis", 1);
  const at = axis === x.length ? axis : axisOf(node, axis, x.length);
  return [sizeOf(x.slice(0, at)), sizeOf(x.slice(at))];
};

const reshape: Rule = (node, [x], graph) => {
  const target = numbersOf(graph, node, 1) ?? refuse(node, "it has no shape");
  const isCopied = numberOf(node, "allowzero", 0) === 0;
  const dims = target.map((dim, i) => (dim === 0 && isCopied ? (x[i] ?? 0) : dim));
  const known = dims.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  const whole = dims.map((dim) => (dim === -1 ? sizeOf(x) / known : dim));
  return sizeOf(whole) === sizeOf(x) ? whole : refuse(node, `[${x.join(", ")}] as [${target.join(", ")}]`);
};

const squeeze: Rule = (node, [x], graph) => {
  const axes = (numbersOf(graph, node, 1) ?? listOf(node, "axes"))?.map((axis) =>
    axisOf(node, axis, x.length),
  );
  // Without axes all of size 1 go, but the batch, which has size 1 for one sample alone.
  return x.filter((dim, i) => (axes === undefined ? dim !== 1 || i === 0 : !axes.includes(i)));
};

const unsqueeze: Rule = (node, [x], graph) => {
  const axes = numbersOf(graph, node, 1) ?? listOf(node, "axes") ?? [];
  const rank = x.length + axes.length;
  const at = new Set(axes.map((axis) => axisOf(node, axis, rank)));
  let next = 0;
  return Array.from({ length: rank }, (_, i) => (at.has(i) ? 1 : x[next++]));
};

const transpose: Rule = (node, [x]) => permutationOf(node, x).map((axis) => x[axis]);

export function permutationOf(node: Node, dims: Dims): readonly number[] {
  const order = listOf(node, "perm") ?? dims.map((_, i) => dims.length - 1 - i);
  const isFit = order.length === dims.length && new Set(order).size === dims.length;
  return isFit
    ? order.map((axis) => axisOf(node, axis, dims.length))
    : refuse(node, `perm [${order.join(", ")}]`);
}

const concat: Rule = (node, inputs) => {
  const [first, ...others] = inputs;
  const axis = axisOf(node, numberOf(node, "axis", 0), first.length);
  if (
    others.some(
      (dims) => dims.length !== first.length || dims.some((dim, i) => i !== axis && dim !== first[i]),
    )
  ) {
    refuse(node, `shapes [${inputs.map((dims) => dims.join(", ")).join("], [")}] do not fit`);
  }
  return first.map((dim, i) => (i === axis ? inputs.reduce((sum, dims) => sum + dims[axis], 0) : dim));
};

const RULES: Readonly<Record<string, Rule>> = {
  [QUANTIZE]: same,
  Conv: conv,
  Gemm: gemm,
  MatMul: gemm,
  BatchNormalization: same,
  MaxPool: pool,
  AveragePool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  ReduceMean: reduceMean,
  Add: broadcast,
  Sub: broadcast,
  Mul: broadcast,
  Div: broadcast,
  Max: broadcast,
  Min: broadcast,
  PRelu: broadcast,
  Relu: same,
  Clip: same,
  LeakyRelu: same,
  Sigmoid: same,
  HardSigmoid: same,
  HardSwish: same,
  Tanh: same,
  Erf: same,
  Gelu: same,
  Elu: same,
  Exp: same,
  Abs: same,
  Neg: same,
  Sqrt: same,
  Reciprocal: same,
  Softsign: same,
  Softmax: same,
  LogSoftmax: same,
  Identity: same,
  Dropout: same,
  Flatten: flatten,
  Reshape: reshape,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
};
