/** How operators changed from operator set 9 to 21, as a table: what brings a node of an older one to the newer one. */

import { fail } from "../onnx/infer/support.js";
import {
  getFloat,
  getInt,
  getInts,
  getString,
  int,
  type Node,
  string,
  type ValueType,
} from "../onnx/model.js";
import type { OnnxOp } from "../onnx/ops.js";
import { type Tensor, tensor, tensorFrom } from "../onnx/tensor.js";
import { without, withAttribute, withInput } from "./node.js";

/** What an upgrade sees of the graph around its node. */
export interface UpgradeContext {
  /** The type of a value that an earlier node makes. */
  typeOf(value: string): ValueType | undefined;
  /** The value of a constant. */
  constantOf(value: string): Tensor | undefined;
  /** Stores a constant under a name like this one, and returns its name. */
  constant(name: string, value: Tensor): string;
  /** A name like this one that no value has. */
  unique(name: string): string;
}

/** Gives the nodes that compute in the newer operator set what the node computed in the older one. */
type Upgrade = (node: Node, context: UpgradeContext) => readonly Node[];

/** The versions since 9 at which an operator got another form or meaning, oldest first. */
type History = readonly (readonly [since: number, upgrade: Upgrade])[];

/** Versions since 9 have only admitted more types, or attributes and inputs whose default is the old meaning. */
const SAME: History = [];

/** A list of integers that was an attribute is an input. */
function intsToInput(attribute: string, index: number): Upgrade {
  return (node, context) => {
    const values = getInts(node, attribute);
    if (values === undefined) return [node];
    const input = context.constant(
      `${node.outputs[0]}/${attribute}`,
      tensorFrom("int64", [values.length], values),
    );
    return [withInput(without(node, attribute), index, input)];
  };
}

/** A number that was an attribute is a scalar input, of the type of the first input. */
function floatToInput(attribute: string, index: number): Upgrade {
  return (node, context) => {
    if (!node.attributes.has(attribute)) return [node];
    const dtype = context.typeOf(node.inputs[0])?.dtype === "float64" ? "float64" : "float32";
    const value = tensorFrom(dtype, [], [getFloat(node, attribute, 0)]);
    return [
      withInput(without(node, attribute), index, context.constant(`${node.outputs[0]}/${attribute}`, value)),
    ];
  };
}

function inTurn(...upgrades: readonly Upgrade[]): Upgrade {
  return (node, context) =>
    upgrades.reduce<readonly Node[]>(
      (nodes, upgrade) => nodes.flatMap((each) => upgrade(each, context)),
      [node],
    );
}

function renamed(op: OnnxOp): Upgrade {
  return (node) => [{ ...node, op }];
}

const axesToInput = intsToInput("axes", 1);

/** Without the input `split`, the number of parts must be said. */
const countParts: Upgrade = (node) =>
  node.inputs.length > 1 && node.inputs[1] !== ""
    ? [node]
    : [withAttribute(node, "num_outputs", int(node.outputs.length))];

/** The attribute k, a single number, is the input K, a vector of one. */
const kToInput: Upgrade = (node, context) => {
  const k = context.constant(`${node.outputs[0]}/k`, tensorFrom("int64", [1], [getInt(node, "k", 1)]));
  return [withInput(without(node, "k"), 1, k)];
};

/** `ratio` counts in training alone; a mask had the type of the data. */
const dropoutRatio: Upgrade = (node) => {
  if ((node.outputs.at(1) ?? "") !== "")
    fail(node, "its output mask changed its meaning with operator set 12");
  return [without(node, "ratio")];
};

/** Training mode was said by the number of outputs, then by an attribute. */
const batchNormalizationMode: Upgrade = (node) => {
  if (node.outputs.slice(1).some((output) => output !== "")) {
    fail(node, "it is in training mode; export the model in evaluation mode");
  }
  return [{ ...without(node, "spatial"), outputs: node.outputs.slice(0, 1) }];
};

/** Scale and bias had a number for each group, and have one for each channel. */
const scalePerChannel: Upgrade = (node, context) => {
  const channels = context.typeOf(node.inputs[0])?.shape?.[1];
  return [
    [1, 2].reduce((changed, index) => {
      const perGroup = context.constantOf(node.inputs[index]);
      if (perGroup?.dtype !== "float32" || typeof channels !== "number") {
        fail(
          node,
          `its input "${node.inputs[index]}" must be a stored float32 tensor, and its channels known`,
        );
      }
      const values = (perGroup as Tensor<"float32">).array();
      const repeat = channels / perGroup.size;
      const perChannel = Float32Array.from({ length: channels }, (_, i) => values[Math.floor(i / repeat)]);
      const name = context.constant(node.inputs[index], tensor("float32", [channels], perChannel));
      return withInput(changed, index, name);
    }, node),
  ];
};

/** Element i was taken from i / scale; the nearest one was the element before it, or behind it where there are fewer now. */
const scaledFromCorner: Upgrade = (node, context) => {
  const [x, scales] = node.inputs;
  const factors = context.constantOf(scales)?.numbers();
  if (factors === undefined) fail(node, `its scales "${scales}" must be a stored tensor`);
  const isSmaller = factors.some((factor) => factor < 1);
  if (isSmaller && factors.some((factor) => factor > 1) && getString(node, "mode", "nearest") === "nearest") {
    fail(node, "it makes one axis larger and another smaller");
  }
  const moved = withAttribute(
    { ...node, inputs: [x, "", scales] },
    "coordinate_transformation_mode",
    string("asymmetric"),
  );
  return [withAttribute(moved, "nearest_mode", string(isSmaller ? "ceil" : "floor"))];
};

/** The input was taken as a matrix, cut before `axis` (by default 1), and each of its rows normalised. */
const flattenedSoftmax: Upgrade = (node, context) => {
  const [x] = node.inputs;
  const [y] = node.outputs;
  const shape = context.typeOf(x)?.shape;
  const given = getInt(node, "axis", 1);
  if (shape === undefined) fail(node, `the rank of its input "${x}" is not known`);
  const axis = given < 0 ? given + shape.length : given;
  const wide = shape.flatMap((dim, i) => (i >= axis && dim !== 1 ? [i] : []));
  if (wide.length <= 1) return [withAttribute(node, "axis", int(wide[0] ?? shape.length - 1))];
  const [rows, normalised, dims] = ["rows", "normalised", "shape"].map((name) =>
    context.unique(`${y}/${name}`),
  );
  const make = (op: OnnxOp, inputs: string[], output: string): Node => {
    return {
      op,
      domain: "",
      name: output === y ? node.name : output,
      inputs,
      outputs: [output],
      attributes: new Map(),
    };
  };
  return [
    withAttribute(make("Flatten", [x], rows), "axis", int(axis)),
    withAttribute(make(node.op as OnnxOp, [rows], normalised), "axis", int(1)),
    make("Shape", [x], dims),
    make("Reshape", [normalised, dims], y),
  ];
};

/**
 * Every operator that kofn imports. `Readonly<Record<OnnxOp, ...>>` makes it total; there are some more, whose newer form
 * has another name.
 */
const HISTORIES: Readonly<Record<OnnxOp, History>> & Readonly<Record<string, History>> = {
  Abs: SAME,
  Add: SAME,
  And: SAME,
  ArgMax: SAME,
  ArgMin: SAME,
  AveragePool: SAME,
  BatchNormalization: [[14, batchNormalizationMode]],
  Cast: SAME,
  Ceil: SAME,
  Celu: SAME,
  Clip: [[11, inTurn(floatToInput("min", 1), floatToInput("max", 2))]],
  Concat: SAME,
  Constant: SAME,
  ConstantOfShape: SAME,
  Conv: SAME,
  ConvTranspose: SAME,
  Cos: SAME,
  CumSum: SAME,
  DepthToSpace: SAME,
  Div: SAME,
  Dropout: [[12, dropoutRatio]],
  Elu: SAME,
  Equal: SAME,
  Erf: SAME,
  Exp: SAME,
  Expand: SAME,
  EyeLike: SAME,
  Flatten: SAME,
  Floor: SAME,
  Gather: SAME,
  GatherElements: SAME,
  GatherND: SAME,
  Gelu: SAME,
  Gemm: SAME,
  GlobalAveragePool: SAME,
  GlobalLpPool: SAME,
  GlobalMaxPool: SAME,
  Greater: SAME,
  GreaterOrEqual: SAME,
  GroupNormalization: [[21, scalePerChannel]],
  HardSigmoid: SAME,
  HardSwish: SAME,
  Identity: SAME,
  InstanceNormalization: SAME,
  IsInf: SAME,
  IsNaN: SAME,
  LRN: SAME,
  LayerNormalization: SAME,
  LeakyRelu: SAME,
  Less: SAME,
  LessOrEqual: SAME,
  Log: SAME,
  LogSoftmax: [[13, flattenedSoftmax]],
  LpNormalization: SAME,
  MatMul: SAME,
  Max: SAME,
  MaxPool: SAME,
  Mean: SAME,
  Min: SAME,
  Mish: SAME,
  Mod: SAME,
  Mul: SAME,
  Neg: SAME,
  Not: SAME,
  OneHot: SAME,
  Or: SAME,
  PRelu: SAME,
  Pad: [[11, inTurn(intsToInput("pads", 1), floatToInput("value", 2))]],
  Pow: SAME,
  Range: SAME,
  Reciprocal: SAME,
  ReduceL1: [[18, axesToInput]],
  ReduceL2: [[18, axesToInput]],
  ReduceLogSum: [[18, axesToInput]],
  ReduceLogSumExp: [[18, axesToInput]],
  ReduceMax: [[18, axesToInput]],
  ReduceMean: [[18, axesToInput]],
  ReduceMin: [[18, axesToInput]],
  ReduceProd: [[18, axesToInput]],
  ReduceSum: [[13, axesToInput]],
  ReduceSumSquare: [[18, axesToInput]],
  Relu: SAME,
  Reshape: SAME,
  Resize: [[11, scaledFromCorner]],
  Round: SAME,
  Scatter: [[11, renamed("ScatterElements")]],
  ScatterElements: SAME,
  Selu: SAME,
  Shape: SAME,
  Shrink: SAME,
  Sigmoid: SAME,
  Sign: SAME,
  Sin: SAME,
  Slice: [[10, inTurn(intsToInput("starts", 1), intsToInput("ends", 2), intsToInput("axes", 3))]],
  Softmax: [[13, flattenedSoftmax]],
  Softplus: SAME,
  Softsign: SAME,
  SpaceToDepth: SAME,
  Split: [
    [13, intsToInput("split", 1)],
    [18, countParts],
  ],
  Sqrt: SAME,
  Squeeze: [[13, axesToInput]],
  Sub: SAME,
  Sum: SAME,
  Tanh: SAME,
  ThresholdedRelu: SAME,
  Tile: SAME,
  TopK: [[10, kToInput]],
  Transpose: SAME,
  Unsqueeze: [[13, axesToInput]],
  Upsample: [[10, inTurn(renamed("Resize"), scaledFromCorner)]],
  Where: SAME,
};

function historyOf(op: string): History | undefined {
  return Object.hasOwn(HISTORIES, op) ? HISTORIES[op] : undefined;
}

/** Whether the operator, which kofn does not know in the newest form, can be upgraded to one that it may know. */
export function isRenamed(op: string): boolean {
  return op === "Scatter" || op === "Upsample";
}

/**
 * The nodes that compute with the newest operators what the node computes with those of `opset`.
 *
 * @throws InputError naming the node, if there are none.
 */
export function upgrade(node: Node, opset: number, context: UpgradeContext): readonly Node[] {
  let nodes: readonly Node[] = [node];
  for (const [since, step] of historyOf(node.op) ?? SAME) {
    if (opset < since) nodes = nodes.flatMap((each) => step(each, context));
  }
  return nodes;
}
