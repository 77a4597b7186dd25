/** What is known of the channels of a graph while they are followed through it, and afterwards. */

import { InputError } from "../../errors.js";
import { describeNode } from "../../onnx/infer/support.js";
import type { Graph, Node } from "../../onnx/model.js";
import type { Tensor } from "../../onnx/tensor.js";
import { ChannelSets, type Layout } from "./channels.js";

/** A parameter that gives channels their values: a mask of these channels goes on all of them. */
export interface Carrier {
  readonly node: Node;
  readonly parameter: string;
  readonly axis: number;
  /** `weight`: rows of a convolution or matrix; `offset`: what is added (biases); `scale`: of a normalisation. */
  readonly role: "weight" | "offset" | "scale";
}

/** A node that mixes channels: every output depends on all input channels, through a stored weight. */
export interface Mixer {
  readonly node: Node;
  readonly weight: string;
  /** The weight's axis along which the input's channels are summed. */
  readonly weightAxis: number;
  /** The input's axis that carries them. */
  readonly inputAxis: number;
}

/** What is known of the channels of a graph. */
export interface Trace {
  /** The graph with its constants folded; the names of its tensors are those of `layouts`. */
  readonly source: Graph;
  /** The same for a batch of fixed size, with all shapes known. */
  readonly graph: Graph;
  readonly sets: ChannelSets;
  /** Of every value and parameter that carries channels. */
  readonly layouts: ReadonlyMap<string, Layout>;
  readonly carriers: readonly Carrier[];
  readonly mixers: readonly Mixer[];
  /** The stored tensor behind a name, through Identity nodes. */
  parameter(name: string): { readonly name: string; readonly tensor: Tensor } | undefined;
  dims(value: string): readonly number[];
}

/** What the rules of channels work with: what is known so far, and how to say more. */
export class Tracer implements Trace {
  readonly source: Graph;
  readonly graph: Graph;
  readonly sets = new ChannelSets();
  readonly layouts = new Map<string, Layout>();
  readonly carriers: Carrier[] = [];
  readonly mixers: Mixer[] = [];
  readonly #aliases = new Map<string, string>();

  constructor(source: Graph, graph: Graph) {
    this.source = source;
    this.graph = graph;
  }

  /** A value is a parameter under another name. */
  alias(value: string, parameter: string): void {
    this.#aliases.set(value, parameter);
  }

  parameter(name: string): { readonly name: string; readonly tensor: Tensor } | undefined {
    let root = name;
    for (let next = this.#aliases.get(root); next !== undefined; next = this.#aliases.get(root)) root = next;
    const tensor = this.source.initializers.get(root);
    return tensor === undefined ? undefined : { name: root, tensor };
  }

  /** The value of a constant of shapes and axes, as numbers. */
  numbers(node: Node, input: number): number[] | undefined {
    const name = node.inputs.at(input) ?? "";
    return (this.graph.initializers.get(name) ?? this.parameter(name)?.tensor)?.numbers();
  }

  /** @throws InputError if a dimension is not known. */
  dims(value: string): readonly number[] {
    const shape = this.graph.valueTypes.get(value)?.shape ?? this.parameter(value)?.tensor.dims;
    if (shape?.every((dim) => typeof dim === "number") === true) return shape;
    throw new InputError(
      `removing maps needs the shape of "${value}", which is [${shape?.map((dim) => dim ?? "?").join(", ") ?? "?"}]. Give the model's inputs fixed sizes; only the first dimension, the batch, may be symbolic.`,
    );
  }

  layout(value: string): Layout {
    const own = this.layouts.get(this.parameter(value)?.name ?? value);
    return own ?? this.dims(value).map(() => undefined);
  }

  set(value: string | undefined, layout: Layout): void {
    if (value === undefined || value === "") return;
    if (layout.some((labels) => labels !== undefined)) this.layouts.set(value, layout);
  }

  frozen(count: number, reason: string): Int32Array {
    const labels = this.sets.fresh(count);
    this.sets.freeze(labels, reason);
    return labels;
  }

  /** Two axes carry the same channels. */
  join(a: Int32Array, b: Int32Array): void {
    for (let i = 0; i < a.length; i++) this.sets.join(a[i], b[i]);
  }

  /** A parameter's axis carries channels: it is cut with them. Returns the stored tensor's name. */
  label(parameter: string, axis: number, labels: Int32Array): string {
    const stored = this.parameter(parameter);
    if (stored === undefined) throw new TypeError(`"${parameter}" is no parameter`);
    const layout = this.layout(stored.name);
    const before = layout[axis];
    if (before !== undefined) this.join(before, labels);
    else this.layouts.set(stored.name, layout.with(axis, labels));
    return stored.name;
  }

  /** The channels along a value's axis; new ones, which can't be removed, where it carries none. */
  channels(value: string, axis: number, node: Node): Int32Array {
    return (
      this.layout(value)[axis] ??
      this.frozen(this.dims(value)[axis], `${describeNode(node)} reads channels that kofn can't follow`)
    );
  }

  freeze(node: Node, labels: Int32Array, problem: string): void {
    this.sets.freeze(labels, `${describeNode(node)} ${problem}`);
  }

  /** The node sums over its input's channels with a stored weight. */
  mix(node: Node, weight: string, weightAxis: number, inputAxis: number, labels: Int32Array): void {
    const stored = this.label(weight, weightAxis, labels);
    this.mixers.push({ node, weight: stored, weightAxis, inputAxis });
  }

  /** The node makes channels with a stored weight and bias, along axis 1 of its output. */
  make(
    node: Node,
    labels: Int32Array,
    { weight, axis, bias }: { weight: string; axis: number; bias: string | undefined },
  ): void {
    this.label(weight, axis, labels);
    this.carry(node, weight, axis, "weight");
    const [output] = node.outputs;
    if (bias !== undefined && bias !== "") {
      const dims = this.dims(bias);
      if (dims.at(-1) === labels.length) {
        this.label(bias, dims.length - 1, labels);
        this.carry(node, bias, dims.length - 1, "offset");
      } else {
        this.freeze(node, labels, "adds one bias to all of them");
      }
    }
    this.set(
      output,
      this.dims(output).map((_, i) => (i === 1 ? labels : undefined)),
    );
  }

  /** The channels on all axes of the node's inputs but some can't be removed, because the node `problem`. */
  refuse(node: Node, problem: string, isFine: (axis: number) => boolean = () => false): void {
    for (const input of node.inputs) {
      if (input === "") continue;
      this.layout(input).forEach((labels, axis) => {
        if (labels === undefined || isFine(axis)) return;
        this.sets.freeze(labels, `${describeNode(node)} ${problem}`);
      });
    }
  }

  carry(node: Node, input: string | undefined, axis: number, role: Carrier["role"]): void {
    const stored = input === undefined ? undefined : this.parameter(input);
    if (stored !== undefined) this.carriers.push({ node, parameter: stored.name, axis, role });
  }
}
