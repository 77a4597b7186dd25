/** A stored weight as a table of outputs by inputs, whatever operator uses it and however it is laid out. */

import { getFloat, getInt, getInts, getString, type Node } from "../../onnx/model.js";
import { sizeOf, type Tensor } from "../../onnx/tensor.js";
import type { Trace } from "./trace.js";

/** Element (output, input, tap) lies at output * outputStride + input * inputStride + tap. */
export interface WeightTable {
  readonly values: Float32Array;
  readonly outputs: number;
  /** Inputs of one output: of its group, in a convolution in groups. */
  readonly inputs: number;
  readonly taps: number;
  readonly outputStride: number;
  readonly inputStride: number;
  /** Outputs of one group. */
  readonly outputsPerGroup: number;
  /** What the product is multiplied with (Gemm's alpha). */
  readonly factor: number;
  /** Whether a constant input gives a constant output: there is no border, where some taps see padding. */
  readonly isEven: boolean;
}

/** The weight of a Conv, ConvTranspose, Gemm or MatMul whose second input is a stored float32 tensor. */
export function weightTable(trace: Trace, node: Node): WeightTable | undefined {
  const stored = trace.parameter(node.inputs[1])?.tensor;
  if (stored?.dtype !== "float32") return undefined;
  const values = (stored as Tensor<"float32">).array();
  const [first, second, ...kernel] = stored.dims;
  const taps = sizeOf(kernel);
  const plain = { values, taps, outputsPerGroup: first, factor: 1, isEven: true };
  const byRow = { outputs: first, inputs: second, outputStride: second * taps, inputStride: taps };
  const byColumn = { outputs: second, inputs: first, outputStride: taps, inputStride: second * taps };
  switch (node.op) {
    case "Conv":
      return {
        ...plain,
        ...byRow,
        outputsPerGroup: first / getInt(node, "group", 1),
        isEven: !isPadded(node),
      };
    case "ConvTranspose":
      return { ...plain, ...byColumn, outputsPerGroup: second, isEven: false };
    case "Gemm": {
      const layout = getInt(node, "transB", 0) === 0 ? byColumn : byRow;
      return { ...plain, ...layout, outputsPerGroup: layout.outputs, factor: getFloat(node, "alpha", 1) };
    }
    case "MatMul":
      return { ...plain, ...byColumn, outputsPerGroup: second };
    default:
      return undefined;
  }
}

function isPadded(node: Node): boolean {
  const auto = getString(node, "auto_pad", "NOTSET");
  return auto.startsWith("SAME") || getInts(node, "pads", []).some((size) => size !== 0);
}

/** The index along the input's channels that an output's input j reads. */
export function inputIndex({ inputs, outputsPerGroup }: WeightTable, output: number, j: number): number {
  return Math.floor(output / outputsPerGroup) * inputs + j;
}

/** The sum of the taps between an output and an input; undefined if they are all 0. */
export function tapSum(
  { values, taps, outputStride, inputStride }: WeightTable,
  output: number,
  input: number,
): number | undefined {
  const start = output * outputStride + input * inputStride;
  let sum = 0;
  let isZero = true;
  for (let i = start; i < start + taps; i++) {
    sum += values[i];
    if (values[i] !== 0) isZero = false;
  }
  return isZero ? undefined : sum;
}
