/** A network as it is in a file: nodes, constants, and what is known of its weights. */

/** How a weight is stored in the file. */
export interface StoredWeight {
  /** "float32", "float16", "binary", "ternary", "int2" to "int8". */
  readonly format: string;
  readonly mask?: StoredMask;
}

/** Which units of a weight are kept. */
export interface StoredMask {
  /** Weights of a unit. */
  readonly span: number;
  /** Output channels that have one mask. */
  readonly share: number;
  /** Units of a group. */
  readonly n: number;
  /** Units that each group keeps; the least and the most where they differ. */
  readonly k: readonly [number, number];
}

/** Where a weight is not 0. A row is what one output adds up. */
export interface KeptWeights {
  /** Whether the weight is [inputs, outputs]. */
  readonly transposed: boolean;
  /** Where the columns of each row end. */
  readonly ends: Uint32Array;
  /** Of all rows, one after the other, ascending in each. */
  readonly columns: Uint32Array;
}

export interface Constant {
  readonly dims: readonly number[];
  /** Floats and whole numbers alike; undefined for other types of elements. */
  readonly data: Float32Array | readonly number[] | undefined;
  readonly stored?: StoredWeight;
  /** Of a weight with a mask. */
  readonly kept?: KeptWeights;
}

export type Attribute = number | string | readonly number[] | readonly string[] | Constant;

/** A node of any operator, or of one of some. */
export interface Node<O extends string = string> {
  /** With its domain in front, if that is not the standard one. */
  readonly op: O;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** A value that is quantized where layers read it, or as the result of a layer for all that read it. */
export interface Activation {
  readonly value: string;
  readonly isResult: boolean;
  readonly format: "uint8" | "int8" | "binary";
  readonly scale: number;
  readonly zero: number;
}

export interface ValueInfo {
  readonly name: string;
  /** Undefined for a dimension without a fixed size; the whole if nothing is known. */
  readonly dims: readonly (number | undefined)[] | undefined;
}

export interface Graph<O extends string = string> {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Each after those whose outputs it reads. */
  readonly nodes: readonly Node<O>[];
  readonly constants: ReadonlyMap<string, Constant>;
  readonly activations: readonly Activation[];
}

export type Dims = readonly number[];

/** The number of elements. */
export function sizeOf(dims: Dims): number {
  return dims.reduce((product, dim) => product * dim, 1);
}
