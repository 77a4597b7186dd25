/** The shapes of all values of a graph, for one sample. */

import { NetworkError } from "../errors.js";
import { constantOf, listOf, numberOf, numbersOf, refuse, textOf } from "./node.js";
import { BINARY, BLOCKS, each, type Op, QUANTIZE, REDUCTIONS, UNARY } from "./operators.js";
import { type Dims, type Graph, type Node, sizeOf } from "./types.js";
import { windowOf } from "./window.js";

/** @param inputs the shapes of the node's inputs; [] for those that are left out */
type Rule = (node: Node, inputs: readonly Dims[], graph: Graph) => Dims;

/** The most elements of a value. */
const MOST = 2 ** 29;
/** The most axes of values that are copied in many parts, cells that are put on a side, and cells of a block. */
const MOST_AXES = 5;
const MOST_PADDING = 1024;
const MOST_CELLS = 1024;

/** @throws NetworkError naming a node whose operator has no kernel. */
export function supported(graph: Graph): Graph<Op> {
  const isSupported = (node: Node): node is Node<Op> => Object.hasOwn(SHAPE_RULES, node.op);
  const nodes = graph.nodes.map((node) =>
    isSupported(node) ? node : refuse(node, "the runtime has no kernel for this operator"),
  );
  return { ...graph, nodes };
}

/** @throws NetworkError naming the node whose shapes are not supported. */
export function inferShapes(graph: Graph<Op>): Map<string, Dims> {
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
    const inputs = node.inputs.map((name) => {
      const dims = name === "" ? [] : shapes.get(name);
      return dims ?? refuse(node, `its input "${name}" is not computed before it`);
    });
    const [output, ...others] = node.outputs;
    for (const name of others) {
      const isRead = name !== "" && graph.nodes.some(({ inputs: reads }) => reads.includes(name));
      if (isRead) refuse(node, `only its first output is supported, "${name}" is read`);
    }
    shapes.set(output, checked(SHAPE_RULES[node.op](node, inputs, graph), output));
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

const matmul: Rule = (node, [a, b], graph) => {
  const weight = graph.constants.get(node.inputs[1]);
  if (weight?.dims.length === 2) constantOf(graph, node, 1);
  const isFit = a.length >= 2 && b.length >= 2 && a.at(-1) === b.at(-2);
  if (!isFit) refuse(node, `matrices of [${a.join(", ")}] and [${b.join(", ")}]`);
  return [...broadcast(node, [a.slice(0, -2), b.slice(0, -2)], graph), ...a.slice(-2, -1), ...b.slice(-1)];
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
  const isTransposed = numberOf(node, "transB", 0) !== 0;
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

/** The axes over which an operator reduces; all but the batch by default. */
export function reducedAxes(node: Node, dims: Dims, graph: Graph): number[] {
  const given = numbersOf(graph, node, 1) ?? listOf(node, "axes") ?? [];
  const isNone = given.length === 0 && numberOf(node, "noop_with_empty_axes", 0) === 0;
  return (isNone ? dims.map((_, i) => i).slice(1) : given).map((axis) => axisOf(node, axis, dims.length));
}

/** Whether these axes are height and width of an image. */
export function reducesImage({ length }: Dims, axes: readonly number[]): boolean {
  return length === 4 && axes.length === 2 && axes.includes(2) && axes.includes(3);
}

const reduce: Rule = (node, [x], graph) => {
  const axes = reducedAxes(node, x, graph);
  const isKept = numberOf(node, "keepdims", 1) !== 0;
  return x.flatMap((dim, i) => (axes.includes(i) ? (isKept ? [1] : []) : [dim]));
};

/** What is taken of an axis. */
interface Part {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

/** What Slice, or a part of Split, takes of each axis. */
export function slicesOf(node: Node, dims: Dims, graph: Graph): Part[] {
  const parts = dims.map((size): Part => ({ start: 0, step: 1, size }));
  if (node.op === "Split") {
    const axis = axisOf(node, numberOf(node, "axis", 0), dims.length);
    const [part, count] = [numberOf(node, "part", 0), numberOf(node, "parts", 1)];
    const each = Math.ceil(dims[axis] / numberOf(node, "num_outputs", count));
    const sizes = numbersOf(graph, node, 1) ?? listOf(node, "split");
    const start = sizes?.slice(0, part).reduce((sum, size) => sum + size, 0) ?? each * part;
    const size = sizes?.[part] ?? Math.min(each, dims[axis] - start);
    if (start + size > dims[axis] || sizes?.some((one) => one < 0))
      refuse(node, `sizes [${String(sizes)}] of [${dims.join(", ")}]`);
    parts[axis] = { start, step: 1, size };
    return parts;
  }
  const [starts, ends] = [1, 2].map(
    (i) => numbersOf(graph, node, i) ?? refuse(node, `input ${i} is left out`),
  );
  const axes = numbersOf(graph, node, 3) ?? starts.map((_, i) => i);
  const steps = numbersOf(graph, node, 4) ?? starts.map(() => 1);
  axes.forEach((given, i) => {
    const axis = axisOf(node, given, dims.length);
    const [step, dim] = [steps[i], dims[axis]];
    if (step === 0) refuse(node, "a step of 0");
    const least = step > 0 ? 0 : -1;
    const within = (at: number): number =>
      Math.min(dim + (step > 0 ? 0 : -1), Math.max(least, at < 0 ? at + dim : at));
    const start = Math.max(0, within(starts[i]));
    parts[axis] = { start, step, size: Math.ceil((within(ends[i]) - start) / step) };
  });
  return parts;
}

const slice: Rule = (node, [x], graph) => slicesOf(node, x, graph).map(({ size }) => size);

const gather: Rule = (node, [x, places], graph) => {
  const axis = axisOf(node, numberOf(node, "axis", 0), x.length);
  constantOf(graph, node, 1);
  if (places.length > 1 || x.length > MOST_AXES)
    refuse(node, `places of [${places.join(", ")}] in [${x.join(", ")}]`);
  return [...x.slice(0, axis), ...places, ...x.slice(axis + 1)];
};

const expand: Rule = (node, [x], graph) => broadcast(node, [x, numbersOf(graph, node, 1) ?? []], graph);

/** Cells that are put before and behind each axis. */
export function padsOf(node: Node, dims: Dims, graph: Graph): { begins: number[]; ends: number[] } {
  const pads = numbersOf(graph, node, 1) ?? [];
  const axes = numbersOf(graph, node, 3) ?? dims.map((_, i) => i);
  const mode = textOf(node, "mode", "constant");
  const [begins, ends] = [dims.map(() => 0), dims.map(() => 0)];
  axes.forEach((given, i) => {
    const axis = axisOf(node, given, dims.length);
    [begins[axis], ends[axis]] = [pads[i], pads[i + axes.length]];
  });
  const most = dims.map((dim) => (mode === "reflect" ? Math.min(dim - 1, MOST_PADDING) : MOST_PADDING));
  const isFit =
    dims.length <= MOST_AXES &&
    ["constant", "edge", "reflect"].includes(mode) &&
    pads.length === 2 * axes.length &&
    [begins, ends].every((list) => list.every((count, i) => count >= 0 && count <= most[i]));
  return isFit
    ? { begins, ends }
    : refuse(node, `pads [${pads.join(", ")}] of mode ${mode} for [${dims.join(", ")}]`);
}

const pad: Rule = (node, [x], graph) => {
  const { begins, ends } = padsOf(node, x, graph);
  return x.map((dim, i) => begins[i] + dim + ends[i]);
};

/** How channels become blocks: their height and width, the cells to leave out on all sides, whether all channels of a cell come first. */
export function blockOf(node: Node): { block: readonly number[]; crop: readonly number[]; isOuter: boolean } {
  if (node.op !== "DepthToSpace")
    return { block: listOf(node, "block") ?? [], crop: listOf(node, "crop") ?? [], isOuter: false };
  const size = numberOf(node, "blocksize", 1);
  return { block: [size, size], crop: [0, 0, 0, 0], isOuter: textOf(node, "mode", "DCR") === "DCR" };
}

const blocks: Rule = (node, [x]) => {
  const { block, crop } = blockOf(node);
  if (x.length !== 4 || block[0] * block[1] > MOST_CELLS)
    refuse(node, `blocks of [${block.join(", ")}] for [${x.join(", ")}]`);
  const [height, width] = [2, 3].map((axis, i) => x[axis] * block[i] - crop[i] - crop[i + 2]);
  return [x[0], x[1] / (block[0] * block[1]), height, width];
};

/** The size of each axis of a resized image, and by how much it is larger. */
export function resizedOf(node: Node, dims: Dims, graph: Graph): { sizes: number[]; scales: number[] } {
  const axes = listOf(node, "axes") ?? dims.map((_, i) => i);
  const [given, goal] = [2, 3].map((i) => numbersOf(graph, node, i) ?? []);
  const scales = dims.map((dim, i) => {
    const at = axes.indexOf(i);
    return at < 0 ? 1 : goal.length > 0 ? goal[at] / dim : given[at];
  });
  // Batches are of any size.
  const sizes = dims.map((dim, i) => (i === 0 ? dim : Math.floor(dim * scales[i] + 1e-9)));
  if (dims.length !== 4 || sizes[1] !== dims[1])
    refuse(node, `only height and width are supported, not [${dims.join(", ")}] as [${sizes.join(", ")}]`);
  return { sizes, scales };
}

const resize: Rule = (node, [x], graph) => resizedOf(node, x, graph).sizes;

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

/** The shape of an operator's result. */
export const SHAPE_RULES: Readonly<Record<Op, Rule>> = {
  ...each(UNARY, same),
  ...each(BINARY, broadcast),
  ...each(REDUCTIONS, reduce),
  [QUANTIZE]: same,
  BatchNormalization: same,
  LayerNormalization: same,
  Softmax: same,
  LogSoftmax: same,
  Identity: same,
  Dropout: same,
  Conv: conv,
  Gemm: gemm,
  MatMul: matmul,
  MaxPool: pool,
  AveragePool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  Resize: resize,
  Slice: slice,
  Split: slice,
  Gather: gather,
  Expand: expand,
  Pad: pad,
  DepthToSpace: blocks,
  [BLOCKS]: blocks,
  Flatten: flatten,
  Reshape: reshape,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
};
