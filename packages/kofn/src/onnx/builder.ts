/** Appends nodes to a graph, inferring the type of every value as it goes and deriving names from what they are for. */

import { KofnError } from "../errors.js";
import type { DataType, HostType } from "./dtype.js";
import { inferNode } from "./infer/node.js";
import { type Attribute, emptyGraph, type Graph, type Node, type ValueType } from "./model.js";
import { isKofnOp, type OpName } from "./ops.js";
import { type Tensor, tensorFrom } from "./tensor.js";

/** Attributes of a node by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

/**
 * Builds a graph. Values are named by strings, which methods take and return.
 *
 * @throws InputError from every method that appends a node, naming it, if its inputs do not fit the operator.
 * @example
 * const b = new Builder();
 * const x = b.input("x", "float32", [4, 3]);
 * b.output(b.op("Softmax", [x], { axis: intAttribute(1) }, "y"));
 * b.shape("y"); // [4, 3]
 */
export class Builder {
  readonly graph: Graph;
  readonly #types: Map<string, ValueType>;
  readonly #taken: Set<string>;
  readonly #constants = new Map<string, string>();

  /** Continues `graph` (values of unknown type stay unusable for {@link shape}), or begins an empty one. */
  constructor(graph: Graph = emptyGraph("graph")) {
    this.graph = graph;
    this.#types = graph.valueTypes;
    this.#taken = new Set();
    for (const { name, type } of graph.inputs) {
      this.#taken.add(name);
      if (type !== undefined) this.#types.set(name, type);
    }
    for (const [name, { dtype, dims }] of graph.initializers) {
      this.#taken.add(name);
      this.#types.set(name, { dtype, shape: dims });
    }
    for (const node of graph.nodes) for (const name of node.outputs) this.#taken.add(name);
  }

  /** Adds a graph input. */
  input(name: string, dtype: DataType, shape: readonly number[]): string {
    this.#take(name);
    this.graph.inputs.push({ name, type: { dtype, shape } });
    this.#types.set(name, { dtype, shape });
    return name;
  }

  /** Makes a value a graph output, under a name of its own if it is to have one. */
  output(value: string, name = value): string {
    let source = value;
    if (name !== value) {
      this.#take(name);
      source = name;
      this.graph.nodes.push(newNode("Identity", "", [value], [name], {}));
      this.#types.set(name, this.type(value));
    }
    this.graph.outputs.push({ name: source, type: this.type(value) });
    return name;
  }

  initializer(name: string, value: Tensor): string {
    const unique = this.unique(name);
    this.graph.initializers.set(unique, value);
    this.#types.set(unique, { dtype: value.dtype, shape: value.dims });
    return unique;
  }

  /** A small constant; equal constants are made once. */
  constant(dtype: HostType, dims: readonly number[], values: readonly number[]): string {
    const key = `${dtype}[${dims.join(",")}]:${values.join(",")}`;
    let name = this.#constants.get(key);
    if (name === undefined) {
      const text = values.length <= 4 ? values.join("_") : `${this.#constants.size}`;
      name = this.initializer(`const/${text === "" ? "empty" : text}`, tensorFrom(dtype, dims, values));
      this.#constants.set(key, name);
    }
    return name;
  }

  /** A scalar of the same type as `like`. */
  scalar(value: number, like: string): string {
    return this.constant(this.type(like).dtype as HostType, [], [value]);
  }

  /** An int64 vector: axes, shapes, starts. */
  vector(values: readonly number[]): string {
    return this.constant("int64", [values.length], values);
  }

  /**
   * Appends a node with one output and returns the output's name.
   *
   * @param name what the output is called; made unique if it is taken. Default: derived from the first input.
   */
  op(op: OpName, inputs: readonly string[], attributes: Attributes = {}, name?: string): string {
    return this.ops(op, inputs, attributes, [name ?? `${inputs[0]}/${op}`])[0];
  }

  /** Appends a node with the given outputs and returns their names. */
  ops(
    op: OpName,
    inputs: readonly string[],
    attributes: Attributes,
    outputs: readonly string[],
    domain = isKofnOp(op) ? "kofn" : "",
  ): string[] {
    const names = outputs.map((output) => this.unique(output));
    const node = newNode(op, domain, [...inputs], names, attributes);
    this.push(node);
    return names;
  }

  /** Appends a node as it is (its outputs' names must be new), inferring its outputs' types. */
  push(node: Node): void {
    const types = inferNode(
      node,
      node.inputs.map((input) => (input === "" ? undefined : this.#types.get(input))),
      node.inputs.map((input) => this.graph.initializers.get(input)),
    );
    node.outputs.forEach((output, i) => {
      this.#taken.add(output);
      this.#types.set(output, types[i]);
    });
    this.graph.nodes.push(node);
  }

  /**
   * Appends a node of one of onnxruntime's own domains, or of an operator that kofn has no rules for, and returns its
   * output's name.
   *
   * @param type of the output, which can't be inferred.
   */
  foreign(
    domain: string,
    op: string,
    inputs: readonly string[],
    attributes: Attributes,
    type: ValueType,
    name = `${inputs[0]}/${op}`,
  ): string {
    const unique = this.unique(name);
    this.graph.nodes.push(newNode(op, domain, [...inputs], [unique], attributes));
    this.#types.set(unique, type);
    return unique;
  }

  type(value: string): ValueType {
    const type = this.#types.get(value);
    if (type === undefined) throw new KofnError(`the type of value "${value}" is not known`);
    return type;
  }

  dtype(value: string): DataType {
    return this.type(value).dtype;
  }

  /** @throws KofnError unless every dimension is a number. */
  shape(value: string): readonly number[] {
    const { shape } = this.type(value);
    if (shape?.every((dim) => typeof dim === "number") !== true) {
      throw new KofnError(
        `the shape of value "${value}" must be known, got [${shape?.map(String).join(", ") ?? "?"}]`,
      );
    }
    return shape;
  }

  unique(name: string): string {
    let unique = name;
    for (let i = 2; this.#taken.has(unique); i++) unique = `${name}~${i}`;
    this.#taken.add(unique);
    return unique;
  }

  /** Keeps names for later, so that {@link unique} does not give them away. */
  reserve(names: readonly string[]): void {
    for (const name of names) this.#taken.add(name);
  }

  /** Gives a reserved name free again. */
  release(name: string): void {
    this.#taken.delete(name);
  }

  #take(name: string): void {
    if (this.#taken.has(name)) throw new KofnError(`the graph already has a value "${name}"`);
    this.#taken.add(name);
  }

  // The operators that rules use most.
  add = (a: string, b: string, name?: string): string => this.op("Add", [a, b], {}, name);
  sub = (a: string, b: string, name?: string): string => this.op("Sub", [a, b], {}, name);
  mul = (a: string, b: string, name?: string): string => this.op("Mul", [a, b], {}, name);
  div = (a: string, b: string, name?: string): string => this.op("Div", [a, b], {}, name);
  neg = (a: string, name?: string): string => this.op("Neg", [a], {}, name);

  reshape(value: string, shape: readonly number[], name?: string): string {
    // Without allowzero a 0 stands for the input's dimension.
    const attributes: Attributes = shape.includes(0) ? { allowzero: { kind: "int", value: 1n } } : {};
    return this.op("Reshape", [value, this.vector(shape)], attributes, name);
  }

  expand(value: string, shape: readonly number[], name?: string): string {
    return this.op("Expand", [value, this.vector(shape)], {}, name);
  }

  transpose(value: string, perm: readonly number[], name?: string): string {
    return this.op("Transpose", [value], { perm: { kind: "ints", value: perm.map(BigInt) } }, name);
  }

  /** Sum over axes, which stay as dimensions of 1 unless `keep` is false. */
  sum(value: string, axes: readonly number[], keep = true, name?: string): string {
    const keepdims: Attribute = { kind: "int", value: keep ? 1n : 0n };
    return this.op("ReduceSum", [value, this.vector(axes)], { keepdims }, name);
  }

  /** A tensor filled with one value. */
  fill(value: number, dtype: Exclude<HostType, "bool">, shape: readonly number[], name = "fill"): string {
    const scalar = tensorFrom(dtype, [1], [value]);
    return this.op(
      "ConstantOfShape",
      [this.vector(shape)],
      { value: { kind: "tensor", value: scalar } },
      name,
    );
  }
}

function newNode(
  op: string,
  domain: string,
  inputs: string[],
  outputs: string[],
  attributes: Attributes,
): Node {
  return { op, domain, name: outputs[0], inputs, outputs, attributes: new Map(Object.entries(attributes)) };
}
