/**
 * A model in memory: the ONNX messages as plain mutable objects.
 *
 * Values (tensors that flow between nodes) are named by strings, as in the file. Everything in the file that kofn has
 * no use for is kept as undecoded `unknown` fields and written back.
 */

import type { DataType } from "./dtype.js";
import type { Tensor } from "./tensor.js";

/** A dimension: a size, a symbolic name ("batch"), or undefined if the file says nothing. */
export type Dim = number | string | undefined;

/** Element type and shape of a value. A shape of undefined means that not even the rank is known. */
export interface ValueType {
  readonly dtype: DataType;
  readonly shape: readonly Dim[] | undefined;
  /**
   * The file's message, where it says more than element type and shape (denotations of dimensions, say). It is written
   * back as long as it agrees with them.
   */
  readonly encoded?: Uint8Array;
}

/** A graph input or output. `type` is undefined where the file has none, or one that is no tensor. */
export interface ValueInfo {
  name: string;
  type: ValueType | undefined;
  /** The file's message for a type that is no tensor's; it is written back as long as `type` is undefined. */
  otherType?: Uint8Array;
  unknown?: Uint8Array;
}

/** An attribute of a node. */
export type Attribute = { readonly unknown?: Uint8Array } & (
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "string"; readonly value: Uint8Array }
  | { readonly kind: "tensor"; readonly value: Tensor }
  | { readonly kind: "graph"; readonly value: Graph }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "ints"; readonly value: readonly bigint[] }
  | { readonly kind: "strings"; readonly value: readonly Uint8Array[] }
  /** An attribute of a kind that kofn does not read (sparse tensors, types, references): the whole message. */
  | { readonly kind: "opaque"; readonly value: Uint8Array }
);

/** One operator at work. */
export interface Node {
  /** Operator, such as "Conv". */
  op: string;
  /** "" is the standard ONNX domain; "kofn" is kofn's own dialect, which lowering removes. */
  domain: string;
  name: string;
  /** Names of values; "" is an optional input that is left out. */
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
  unknown?: Uint8Array;
}

/** A graph: nodes between inputs and outputs, and the constants (weights among them) that they use. */
export interface Graph {
  name: string;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** In an order in which every value is made before it is used. */
  nodes: Node[];
  initializers: Map<string, Tensor>;
  /** Types of inner values, where they are known. */
  valueTypes: Map<string, ValueType>;
  /** What the file says about inner values besides tensor types; their `type` here is undefined. */
  otherValues?: Map<string, ValueInfo>;
  unknown?: Uint8Array;
}

/** An ONNX model: a graph, and the versions of what it is written in. */
export interface Model {
  irVersion: number;
  producerName: string;
  producerVersion: string;
  /** Version of each operator set in use, by domain. */
  opsets: Map<string, number>;
  graph: Graph;
  metadata: Map<string, string>;
  unknown?: Uint8Array;
}

/** The operator set that kofn computes in: what it emits, and what imported models are brought to. */
export const OPSET = 21;
/** The IR version that goes with {@link OPSET}. */
export const IR_VERSION = 10;

/** A float attribute, such as the alpha of a Gemm. */
export const float = (value: number): Attribute => ({ kind: "float", value });
/** An integer attribute, such as the axis of a Softmax. */
export const int = (value: number): Attribute => ({ kind: "int", value: BigInt(value) });
/** A list of integers, such as the strides of a Conv. */
export const ints = (values: readonly number[]): Attribute => ({ kind: "ints", value: values.map(BigInt) });
/** A string attribute, such as the mode of a Pad. */
export const string = (value: string): Attribute => ({
  kind: "string",
  value: new TextEncoder().encode(value),
});
/** A tensor attribute, such as the value of a Constant. */
export const tensorAttribute = (value: Tensor): Attribute => ({ kind: "tensor", value });

/** A graph without anything, for a Builder to fill. */
export function emptyGraph(name: string): Graph {
  return { name, inputs: [], outputs: [], nodes: [], initializers: new Map(), valueTypes: new Map() };
}

/** An attribute of a node, or the default where the node has none. */
export function getInt(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === "int" ? clamp(attribute.value) : fallback;
}

export function getInts(node: Node, name: string, fallback: readonly number[]): readonly number[];
export function getInts(node: Node, name: string): readonly number[] | undefined;
export function getInts(
  node: Node,
  name: string,
  fallback?: readonly number[],
): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === "ints" ? attribute.value.map(clamp) : fallback;
}

export function getFloat(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === "float" ? attribute.value : fallback;
}

export function getString(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes.get(name);
  return attribute?.kind === "string" ? new TextDecoder().decode(attribute.value) : fallback;
}

/** int64 attributes reach beyond what a number holds exactly only as "to the end" markers, so clamping keeps their meaning. */
function clamp(value: bigint): number {
  return Number(BigInt.asIntN(54, value) === value ? value : value < 0n ? -(2n ** 53n) : 2n ** 53n);
}
