/** What layers.json says of a layer's memory images. */

import type { Codes } from "./codes.js";

/** A memory: `depth` words of `width` bits, one to a line of its file, in hexadecimal digits. */
export interface Memory {
  readonly file: string;
  readonly depth: number;
  readonly width: number;
}

/** How the words of a memory are to be read: two's complement, 1 for 1 and 0 for -1, IEEE 754 single precision, or a natural number. */
export type WordFormat = "int" | "sign" | "float32" | "uint";

/** What layers.json says of a layer. */
export interface LayerImages {
  readonly name: string;
  /** Name of the weight in the model. */
  readonly weight: string;
  /** Output channels. */
  readonly rows: number;
  /** Weights of a row before pruning. */
  readonly fanIn: number;
  /** Rows that read the same part of the input: all, but for convolutions in groups. */
  readonly rowsPerSlice: number;
  /** Of a convolution; the fan-in is [channels, height, width] of the kernel. */
  readonly kernel?: { readonly channels: number; readonly height: number; readonly width: number };
  /** Words of the values' memory for each row: groups * k * span. */
  readonly entriesPerRow: number;
  /** Groups of units in a row, n units in each, of which k are kept; a unit is `span` weights next to each other. */
  readonly groups: number;
  readonly n: number;
  readonly k: number;
  readonly span: number;
  /** So many rows have their indices once. */
  readonly share: number;
  /** Rows were of different lengths and are filled up with weights that are 0. */
  readonly filledUp: boolean;
  /** Row by row, group by group, unit by unit. */
  readonly values: Memory & { readonly format: WordFormat };
  /** Of units within their group; null where all weights are kept. */
  readonly indices: (Memory & { readonly of: "weights" | "kernels" }) | null;
  readonly bias: (Memory & { readonly format: WordFormat }) | null;
  /** Of each row: value = scale * code. null where values are float32. */
  readonly scale: readonly number[] | null;
  /** Codes that the layer reads and makes; null for float32. */
  readonly input: Codes | null;
  readonly output: Codes | null;
  /** Lowest and highest code behind Relu or Clip, where the output is codes. */
  readonly range: readonly [low: number, high: number] | null;
  /** What sums are multiplied by, over 2^shift, to become codes of the output. */
  readonly multipliers: Memory | null;
  readonly shifts: Memory | null;
  /** Bits of values and indices. */
  readonly bits: number;
  /** A test bench, with an input and what the layer makes of it; null where values are float32. */
  readonly test: {
    readonly bench: string;
    readonly input: Memory;
    readonly expected: Memory;
    readonly positions: number;
    /** "codes" of the output, or int32 "sums". */
    readonly compares: "codes" | "sums";
  } | null;
}
