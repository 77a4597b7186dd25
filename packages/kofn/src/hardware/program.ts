/**
 * A network as a list of steps over values of known sizes, for one sample: what C code and memory images are written from, and
 * what the reference computes.
 */

import type { Normalization } from "../data/normalization.js";
import type { Codes } from "./codes.js";
import type { Rows } from "./rows.js";

/** A tensor between two steps. Two values are the same if they are the same object. */
export interface Value {
  /** Name in the ONNX graph of what it was first. */
  readonly name: string;
  /** Number of elements. */
  readonly size: number;
  /** How its codes are to be read; float32 without. */
  readonly codes?: Codes;
}

/** What is done to a result, in float32. Codes are clamped accordingly. */
export type Activation =
  | { readonly kind: "none" | "relu" }
  | { readonly kind: "clip"; readonly low: number; readonly high: number }
  | { readonly kind: "leaky"; readonly slope: number };

/** A window that slides over the height and width of [channels, height, width]. */
export interface Window {
  /** Channels under the window: for convolutions in groups, those of one group. */
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly strideY: number;
  readonly strideX: number;
  readonly padY: number;
  readonly padX: number;
  readonly dilationY: number;
  readonly dilationX: number;
}

/** Multiplies by `multiplier` / 2^`shift`, for each row. */
export interface Rescaling {
  /** At most 2^31 - 1. */
  readonly multipliers: Int32Array;
  /** 1 to 62. */
  readonly shifts: Uint8Array;
}

/** A convolution or a matrix product: the latter is a window of 1x1 over an image of 1x1. */
export interface Linear {
  readonly op: "linear";
  /** Name of the layer, and of its weight in the graph. */
  readonly layer: string;
  readonly weight: string;
  readonly input: Value;
  readonly output: Value;
  readonly window: Window;
  /** Output channels that read the same group of input channels. */
  readonly rowsPerGroup: number;
  readonly weights: Rows;
  /** Of each row: int32, in units of input scale times weight scale, where input and weights are codes; else float32. */
  readonly bias?: Float32Array | Int32Array;
  /** Of each row, where weights are codes and the output is not rescaled: what an accumulated sum is multiplied by. */
  readonly scale?: Float32Array;
  /** Where input, weights and output are codes. */
  readonly rescaling?: Rescaling;
  /** Of each row, where weights are codes: a weight is this times its code. */
  readonly weightScale?: Float32Array;
  readonly activation: Activation;
}

/** Maximum or mean over a window, channel by channel. */
export interface Pool {
  readonly op: "pool";
  readonly kind: "max" | "average";
  readonly input: Value;
  readonly output: Value;
  readonly window: Window;
  /** A mean over the whole window, padding included; over what lies in the image without. */
  readonly countsPadding: boolean;
  /** Of a mean of codes that becomes codes. */
  readonly rescaling?: Rescaling;
  /** Of a mean of codes that becomes float32: what the sum is multiplied by. */
  readonly scale?: number;
}

/** The sum of one or two values: all float32, or all codes, which are brought to the output's codes. */
export interface Sum {
  readonly op: "sum";
  readonly inputs: readonly Value[];
  readonly output: Value;
  /** Of codes: each input's multiplier, and the shift that all have. */
  readonly multipliers?: readonly number[];
  readonly shift?: number;
  readonly activation: Activation;
}

/** Element by element: an activation function, quantization, or the way back. */
export interface Elementwise {
  readonly op: "map";
  readonly input: Value;
  /** May be `input` itself. */
  readonly output: Value;
  readonly activation: Activation;
}

/** Values of one type, one behind the other. */
export interface Concat {
  readonly op: "concat";
  readonly inputs: readonly Value[];
  readonly output: Value;
}

export type Step = Linear | Pool | Sum | Elementwise | Concat;

export interface Program {
  /** Float32. */
  readonly input: Value;
  /** Float32. */
  readonly output: Value;
  /** Without the batch. */
  readonly inputDims: readonly number[];
  readonly outputDims: readonly number[];
  readonly steps: readonly Step[];
  /** The operator at the model's end that was left out: the output is what it reads. */
  readonly omitted?: "Softmax" | "LogSoftmax";
  /** What the input is made of, if the model says so: a mean and a deviation for each channel of an image, or one of each. */
  readonly normalization?: Normalization;
}

/** The values that a step reads. */
export function inputsOf(step: Step): readonly Value[] {
  return "inputs" in step ? step.inputs : [step.input];
}
