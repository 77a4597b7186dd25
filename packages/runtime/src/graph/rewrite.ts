/** Writes operators as others that have kernels. */

import { constantOf, listOf, numberOf, numbersOf, refuse, textOf } from "./node.js";
import { BLOCKS, type Op, type Rewritten } from "./operators.js";
import type { Attribute, Constant, Graph, Node } from "./types.js";

/** Of a ConvTranspose. */
const MOST_STRIDE = 32;
const MOST_WEIGHTS = 2 ** 27;

/** What an operator is written as. */
const REWRITES: Readonly<
  Record<Rewritten, (node: Node, graph: Graph, made: Map<string, Constant>) => Node[]>
> = {
  ConvTranspose: transposed,
  Pow: power,
  Split: parts,
};

export function rewritten(graph: Graph): Graph {
  const constants = new Map(graph.constants);
  const images = new Map<string, string>();
  const nodes = graph.nodes
    .flatMap((node) => asImages(node, constants, images))
    .flatMap((node) =>
      isRewritten(node) ? REWRITES[node.op](node, { ...graph, constants }, constants) : [node],
    );
  // Rows that are read as images alone need not be made.
  const read = new Set([...graph.outputs.map(({ name }) => name), ...nodes.flatMap(({ inputs }) => inputs)]);
  return {
    ...graph,
    nodes: nodes.filter(({ outputs }) => !images.has(outputs[0]) || read.has(outputs[0])),
    constants,
  };
}

const isRewritten = (node: Node): node is Node<Rewritten> => Object.hasOwn(REWRITES, node.op);

const WINDOWED: ReadonlySet<string> = new Set<Op | Rewritten>([
  "Conv",
  "ConvTranspose",
  "MaxPool",
  "AveragePool",
]);
/** Operators that compute the same of images of one row as of rows. */
const ALIKE: ReadonlySet<string> = new Set<Op>(["Relu", "Clip", "BatchNormalization", "Add"]);

/**
 * Convolutions and pools of rows [1, channels, width] as those of images of one row, and what lies between them.
 *
 * @param images the images of rows
 */
function asImages(node: Node, constants: Map<string, Constant>, images: Map<string, string>): Node[] {
  const { op, attributes } = node;
  const [input, second = ""] = node.inputs;
  const weight = constants.get(second);
  const isWindowed =
    WINDOWED.has(op) && (weight?.dims.length === 3 || listOf(node, "kernel_shape")?.length === 1);
  const known = op === "Add" ? node.inputs : [input];
  if (!isWindowed && !(ALIKE.has(op) && known.every((name) => images.has(name)))) return [node];
  const [output] = node.outputs;
  const inputs = [...node.inputs];
  const axes = withNumbers({ ...node, attributes: new Map() }, { axes: [2] });
  const made: Node[] = [];
  const imageOf = (name: string): string => {
    const image = images.get(name) ?? `${name}/image`;
    if (!images.has(name))
      made.push({ ...node, op: "Unsqueeze", inputs: [name], outputs: [image], attributes: axes });
    images.set(name, image);
    return image;
  };
  known.forEach((name, i) => (inputs[i] = imageOf(name)));
  if (isWindowed && weight !== undefined) {
    inputs[1] = `${second}/image`;
    constants.set(inputs[1], { ...weight, dims: [...weight.dims.slice(0, 2), 1, ...weight.dims.slice(2)] });
  }
  const numbers: Record<string, readonly number[]> = {};
  for (const [name, none] of [
    ["kernel_shape", 1],
    ["strides", 1],
    ["dilations", 1],
    ["output_padding", 0],
    ["pads", 0],
  ] as const) {
    const list = attributes.has(name) ? listOf(node, name) : undefined;
    if (list !== undefined) numbers[name] = list.flatMap((value) => [none, value]);
  }
  const image = `${output}/image`;
  images.set(output, image);
  return [
    ...made,
    { ...node, inputs, outputs: [image], attributes: withNumbers(node, numbers) },
    { ...node, op: "Squeeze", inputs: [image], outputs: [output], attributes: axes },
  ];
}

/** One node for each part of a Split. */
function parts(node: Node): Node[] {
  return node.outputs.flatMap((output, part) => {
    const attributes = withNumbers(node, { part, parts: node.outputs.length });
    return output === "" ? [] : [{ ...node, outputs: [output], attributes }];
  });
}

function withNumbers(
  { attributes }: Node,
  numbers: Readonly<Record<string, number | readonly number[]>>,
): ReadonlyMap<string, Attribute> {
  return new Map<string, Attribute>([...attributes, ...Object.entries(numbers)]);
}

/** Operators that are powers. */
const POWERS: Readonly<Record<string, Op>> = { "-1": "Reciprocal", "0.5": "Sqrt", 1: "Identity" };

/** Powers as products, and roots. */
function power(node: Node, graph: Graph): Node[] {
  const exponent = String(numbersOf(graph, node, 1));
  const [x, output] = [node.inputs[0], node.outputs[0]];
  const square = `${output}/2`;
  if (exponent === "2") return [{ ...node, op: "Mul", inputs: [x, x] }];
  if (exponent === "3")
    return [
      { ...node, op: "Mul", inputs: [x, x], outputs: [square] },
      { ...node, op: "Mul", inputs: [square, x] },
    ];
  return Object.hasOwn(POWERS, exponent)
    ? [{ ...node, op: POWERS[exponent], inputs: [x] }]
    : refuse(node, `only the exponents -1, 0.5, 1, 2 and 3 are supported, not ${exponent}`);
}

/**
 * ConvTranspose with stride s as a Conv of stride 1 with s x s results for each channel, one for each place in a block of the output:
 * y[s q + r] = sum over m of x[q - m] w[r + s m] along each axis.
 */
function transposed(node: Node, graph: Graph, constants: Map<string, Constant>): Node[] {
  const weight = constantOf(graph, node, 1) ?? refuse(node, "it has no weight");
  const [channels, perGroup, ...kernel] = weight.dims;
  const groups = numberOf(node, "group", 1);
  const two = (name: string, fallback: number): readonly number[] =>
    listOf(node, name) ?? [fallback, fallback];
  const [strides, extra] = [two("strides", 1), two("output_padding", 0)];
  const pads = listOf(node, "pads") ?? [0, 0, 0, 0];
  const isFit =
    kernel.length === 2 &&
    [strides, extra].every(({ length }) => length === 2) &&
    strides.every((stride, i) => stride > 0 && stride <= MOST_STRIDE && extra[i] >= 0 && extra[i] < stride) &&
    pads.length === 4 &&
    pads.every((pad) => pad >= 0) &&
    groups > 0 &&
    Number.isInteger(channels / groups) &&
    two("dilations", 1).every((dilation) => dilation === 1) &&
    textOf(node, "auto_pad", "NOTSET") === "NOTSET" &&
    listOf(node, "output_shape") === undefined;
  if (!isFit)
    refuse(node, `dilations, auto_pad, output_shape and strides over ${MOST_STRIDE} are not supported`);
  const taps = kernel.map((size, i) => Math.ceil(size / strides[i]));
  // Blocks of the output beyond those where the input's cells lie, and cells that are too many behind it.
  const beyond = [0, 1].map((i) =>
    Math.max(0, Math.ceil((kernel[i] + extra[i] - pads[i + 2]) / strides[i]) - 1),
  );
  const behind = [0, 1].map((i) => strides[i] * (beyond[i] + 1) - kernel[i] - extra[i] + pads[i + 2]);
  const cells = strides[0] * strides[1];
  const fanIn = channels / groups;
  const [maps, size] = [groups * perGroup, taps[0] * taps[1]];
  if (maps * cells * fanIn * size > MOST_WEIGHTS) refuse(node, "too many weights");
  const data = new Float32Array(maps * cells * fanIn * size);
  for (let i = 0; i < data.length; i++) {
    const tap = i % size;
    const channel = Math.floor(i / size) % fanIn;
    const cell = Math.floor(i / (size * fanIn)) % cells;
    const map = Math.floor(i / (size * fanIn * cells));
    const y = Math.floor(cell / strides[1]) + strides[0] * (taps[0] - 1 - Math.floor(tap / taps[1]));
    const x = (cell % strides[1]) + strides[1] * (taps[1] - 1 - (tap % taps[1]));
    if (y >= kernel[0] || x >= kernel[1]) continue;
    const from = Math.floor(map / perGroup) * fanIn + channel;
    data[i] = weight.data?.[((from * perGroup + (map % perGroup)) * kernel[0] + y) * kernel[1] + x] ?? 0;
  }
  const name = node.outputs[0];
  const inputs = [node.inputs[0], `${name}/weight`];
  constants.set(inputs[1], { dims: [maps * cells, fanIn, ...taps], data });
  const bias = numbersOf(graph, node, 2);
  if (bias !== undefined) {
    inputs.push(`${name}/bias`);
    const repeated = Float32Array.from({ length: maps * cells }, (_, i) => bias[Math.floor(i / cells)]);
    constants.set(inputs[2], { dims: [maps * cells], data: repeated });
  }
  const around = {
    pads: [taps[0] - 1, taps[1] - 1, ...beyond],
    strides: [1, 1],
    kernel_shape: taps,
    group: groups,
  };
  const crop = [pads[0], pads[1], ...behind];
  return [
    { ...node, op: "Conv", inputs, outputs: [`${name}/blocks`], attributes: withNumbers(node, around) },
    {
      ...node,
      op: BLOCKS,
      inputs: [`${name}/blocks`],
      attributes: withNumbers(node, { block: strides, crop }),
    },
  ];
}
