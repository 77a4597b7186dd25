/** What a layer computes in a program: packed weights, folded batch normalisation, and the numbers that bring sums to results. */

import { InputError } from "../errors.js";
import { fail } from "../onnx/infer/support.js";
import { getFloat, getInt, type Graph, type Node } from "../onnx/model.js";
import { sizeOf, type Tensor } from "../onnx/tensor.js";
import { affineOf, type Affine, integerAffine } from "../integers/integer-affine.js";
import type { QuantizedWeight } from "../quantize/types.js";
import type { WeightNode } from "../integers/weight-nodes.js";
import { type Codes, fixedPoint, stepOf } from "./codes.js";
import type { Linear, Rescaling } from "./program.js";
import { allOf, forEachKept, type Matrix, type Rows } from "./rows.js";
import { imageWindow, pointWindow } from "./window.js";

/** Stores the weights of a layer. `kernel` is the number of weights of a 2-D kernel, 1 for matrices. */
export interface Packing {
  /** The mask of a weight, in its layout in the model; without it all is kept that is not 0 in the model. */
  readonly mask: (weight: string) => Uint8Array | undefined;
  readonly pack: (matrix: Matrix, weight: string, kernel: number) => Rows;
}

/** A step of a layer, but for the values that it reads and makes. */
export type LinearPart = Omit<Linear, "input" | "output" | "activation">;

/** A layer in its graph. */
export interface LayerContext {
  readonly graph: Graph;
  readonly one: WeightNode;
  /** The batch normalisation behind it that goes into it. */
  readonly norm: Node | undefined;
  /** Of its input, without the batch. */
  readonly dims: readonly number[];
}

/** Whether a node normalises by stored statistics. */
export function isStoredNorm(graph: Graph, node: Node): boolean {
  return (
    node.domain === "" &&
    node.op === "BatchNormalization" &&
    getInt(node, "training_mode", 0) === 0 &&
    node.inputs.slice(1).every((input) => graph.initializers.get(input)?.dtype === "float32")
  );
}

export function rescalingOf(factors: ArrayLike<number>): Rescaling {
  const fixed = Array.from(factors, (factor) => fixedPoint(factor));
  return {
    multipliers: Int32Array.from(fixed, ({ multiplier }) => multiplier),
    shifts: Uint8Array.from(fixed, ({ shift }) => shift),
  };
}

/** A layer whose weights are float32. Weights and biases take batch normalisation in, in double precision before they are rounded. */
export function plainLinear(context: LayerContext, packing: Packing): LinearPart {
  const { graph, one, norm } = context;
  const { layer } = one;
  const shape = shapeOf(context);
  const { rows, fanIn } = shape;
  const stored = graph.initializers.get(layer.weight);
  if (stored?.dtype !== "float32")
    fail(one.node, `its weight is ${stored?.dtype ?? "absent"}, where float32 is expected`);
  const { scale, bias } = gainsOf(graph, norm, rows, biasOf(graph, one, rows));
  const alpha = alphaOf(one.node);
  const values = canonical((stored as Tensor<"float32">).array(), shape).map(
    (value, i) => value * alpha * (scale?.[Math.floor(i / fanIn)] ?? 1),
  );
  const weights = packed(context, shape, values, packing);
  return { ...weights, ...(bias === undefined ? {} : { bias: Float32Array.from(bias) }) };
}

/**
 * A layer whose weights are codes.
 *
 * @param input how the codes of what it reads are to be read; undefined for float32.
 * @param output likewise of what it makes.
 */
export function integerLinear(
  context: LayerContext,
  weight: QuantizedWeight,
  input: Codes | undefined,
  output: Codes | undefined,
  packing: Packing,
): LinearPart {
  const { graph, one, norm } = context;
  const { layer, node } = one;
  const shape = shapeOf(context);
  const folded = affineOf(graph, weight, layer.dims, biasOf(graph, one, shape.rows), norm);
  const alpha = alphaOf(node);
  if (alpha <= 0)
    fail(node, `its product is scaled by ${alpha}, where quantized layers take factors above 0`);
  const affine: Affine = { ...folded, scale: folded.scale.map((value) => value * alpha) };
  if (input === undefined) {
    const weights = packed(context, shape, canonical(affine.codes, shape), packing);
    return {
      ...weights,
      scale: affine.scale,
      weightScale: affine.scale,
      ...(affine.bias === undefined ? {} : { bias: Float32Array.from(affine.bias) }),
    };
  }
  const { codes, scale, bias } = integerAffine(affine, input.scale, layer.dims, weight.axis);
  const weights = packed(context, shape, canonical(codes, shape), packing);
  checkSums(layer.name, weights.weights, bias, input);
  const factors = Float64Array.from(scale, (value) => value * input.scale);
  return {
    ...weights,
    weightScale: scale,
    ...(bias === undefined ? {} : { bias }),
    ...(output === undefined
      ? { scale: Float32Array.from(factors) }
      : { rescaling: rescalingOf(factors.map((factor) => factor / stepOf(output))) }),
  };
}

/** Batch normalisation as a layer: a weight and a bias for each channel. */
export function normLinear(graph: Graph, norm: Node, dims: readonly number[]): LinearPart {
  const [channels, height = 1, width = 1] = dims;
  const { scale, bias } = gainsOf(graph, norm, channels, undefined);
  const values = Float32Array.from(scale ?? []);
  const mask = new Uint8Array(channels).fill(1);
  return {
    op: "linear",
    layer: norm.name === "" ? norm.outputs[0] : norm.name,
    weight: norm.inputs[1],
    window: { ...pointWindow(1), height, width, outHeight: height, outWidth: width },
    rowsPerGroup: 1,
    weights: allOf({ rows: channels, fanIn: 1, values, mask }),
    ...(bias === undefined ? {} : { bias: Float32Array.from(bias) }),
  };
}

/** A weight as [rows, fan-in], whatever its layout in the model. */
interface Shape {
  readonly rows: number;
  readonly fanIn: number;
  readonly kernel: number;
  readonly transposed: boolean;
}

function shapeOf({ one: { layer } }: LayerContext): Shape {
  const { dims, transposed } = layer;
  const [first, second, ...kernel] = dims;
  const size = sizeOf(kernel);
  return transposed
    ? { rows: second, fanIn: first, kernel: 1, transposed }
    : { rows: first, fanIn: second * size, kernel: size, transposed };
}

function canonical<T extends Float32Array | Int8Array | Uint8Array>(
  values: T,
  { rows, fanIn, transposed }: Shape,
): T {
  if (!transposed) return values;
  return values.map((_, i) => values[(i % fanIn) * rows + Math.floor(i / fanIn)]) as T;
}

/** The window, and the packed weights. */
function packed(
  { graph, one, dims }: LayerContext,
  shape: Shape,
  values: Float32Array | Int8Array,
  packing: Packing,
): Pick<LinearPart, "op" | "layer" | "weight" | "window" | "rowsPerGroup" | "weights"> {
  const { layer, node } = one;
  const { rows, fanIn, kernel } = shape;
  const stored = graph.initializers.get(layer.weight) as Tensor<"float32">;
  const given =
    packing.mask(layer.weight) ?? Uint8Array.from(stored.array(), (value) => (value === 0 ? 0 : 1));
  const mask = canonical(given, shape);
  const weights = packing.pack({ rows, fanIn, values, mask }, layer.weight, kernel);
  const rest = { op: "linear", layer: layer.name, weight: layer.weight, weights } as const;
  if (node.op !== "Conv") {
    if (dims.length !== 1) {
      fail(
        node,
        `its input has the shape [${dims.join(", ")}], where matrix products take one row of numbers`,
      );
    }
    return { ...rest, window: pointWindow(fanIn), rowsPerGroup: rows };
  }
  const groups = getInt(node, "group", 1);
  const window = imageWindow(node, dims, layer.dims.slice(2));
  return { ...rest, window: { ...window, channels: window.channels / groups }, rowsPerGroup: rows / groups };
}

/** The name of a layer's stored bias. */
function biasOf(graph: Graph, { node, layer, add }: WeightNode, rows: number): string | undefined {
  const given = add === undefined ? (node.op === "MatMul" ? "" : (node.inputs.at(2) ?? "")) : layer.bias;
  if (given === undefined || given === "") return undefined;
  const bias = graph.initializers.get(given);
  if (bias?.dtype !== "float32" || bias.size !== rows) {
    fail(node, `its bias "${given}" is no stored vector of ${rows} float32 numbers`);
  }
  if (getFloat(node, "beta", 1) !== 1)
    fail(node, `its bias is scaled by ${getFloat(node, "beta", 1)}, where 1 is expected`);
  return given;
}

/** What a Gemm multiplies its product by. */
function alphaOf(node: Node): number {
  if (node.op !== "Gemm") return 1;
  if (getInt(node, "transA", 0) !== 0) fail(node, "its input is transposed");
  return getFloat(node, "alpha", 1);
}

/** Factor and bias of each row, in double precision. */
function gainsOf(
  graph: Graph,
  norm: Node | undefined,
  rows: number,
  bias: string | undefined,
): { readonly scale?: Float64Array; readonly bias?: Float64Array } {
  const values = (name: string): Float32Array => (graph.initializers.get(name) as Tensor<"float32">).array();
  const stored = bias === undefined ? undefined : Float64Array.from(values(bias));
  if (norm === undefined) return stored === undefined ? {} : { bias: stored };
  const ones = new Float32Array(rows).fill(1);
  // The scale of a code is what the factor goes into; its sign goes into the code.
  const unit = {
    layer: "",
    weight: "",
    format: "int8",
    axis: 0,
    scale: ones,
    codes: new Int8Array(rows).fill(1),
  } as const;
  const { bias: folded } = affineOf(graph, unit, [rows], bias, norm);
  const [gamma, , , variance] = norm.inputs.slice(1).map(values);
  const epsilon = getFloat(norm, "epsilon", 1e-5);
  const scale = Float64Array.from(gamma, (value, c) => value / Math.sqrt(variance[c] + epsilon));
  return { scale, ...(folded === undefined ? {} : { bias: folded }) };
}

/** @throws InputError if a sum of products could leave int32. */
function checkSums(layer: string, weights: Rows, bias: Int32Array | undefined, input: Codes): void {
  const most = Math.max(input.high - input.zero, input.zero - input.low);
  for (let row = 0; row < weights.rows; row++) {
    let sum = 0;
    forEachKept(weights, row, (_, at) => {
      sum += Math.abs(weights.values[at]);
    });
    if (sum * most + Math.abs(bias?.[row] ?? 0) < 2 ** 31) continue;
    throw new InputError(
      `layer "${layer}": a sum of ${weights.fanIn} products and a bias could leave int32 in output channel ${row}. Quantize its weights alone, or prune it further.`,
    );
  }
}
