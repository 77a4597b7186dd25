/** What a program in C is asked for, and what is told of its tables. */

/** What of a layer lies in tables, in bytes. */
export interface LayerTables {
  readonly layer: string;
  /** "all", or "k of n" as the rows have it. */
  readonly kept: string;
  /** Where the layer multiplies integers, "int8"; where codes go times floats, "int8 x float"; else "float". */
  readonly arithmetic: "int8" | "int8 x float" | "float";
  readonly values: number;
  readonly indices: number;
  /** Biases, scales, multipliers and shifts. */
  readonly rest: number;
}

export interface COptions {
  /** What functions are called: an identifier. */
  readonly name: string;
  /** What the files are called, without ".c" and ".h". */
  readonly file: string;
  /** What the network is called. */
  readonly title: string;
  /** Names of the classes, if they are known. */
  readonly labels?: readonly string[];
}
