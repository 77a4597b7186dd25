/** Assembles the nodes of an export: standard operators, among them some for element types that kofn does not compute with. */

import type { Attributes } from "./builder.js";
import type { Graph, Node } from "./model.js";
import type { Tensor } from "./tensor.js";

/** Nodes and constants in the order in which they were added. Names are made unique among those of a graph. */
export class Assembly {
  readonly nodes: Node[] = [];
  readonly initializers: Map<string, Tensor>;
  readonly #taken: Set<string>;
  readonly #shared = new Map<string, string>();

  /** @param graph the one that the nodes are to replace; its constants are there from the start. */
  constructor(graph: Graph) {
    this.initializers = new Map(graph.initializers);
    this.#taken = new Set(graph.initializers.keys());
    for (const { name } of graph.inputs) this.#taken.add(name);
    for (const node of graph.nodes) for (const name of node.outputs) this.#taken.add(name);
  }

  /** Adds a node with one output, and returns the output's name. */
  add(op: string, inputs: readonly string[], attributes: Attributes, name: string): string {
    return this.addAll(op, inputs, attributes, [name])[0];
  }

  /** Adds a node, and returns its outputs' names. */
  addAll(
    op: string,
    inputs: readonly string[],
    attributes: Attributes,
    names: readonly string[],
  ): readonly string[] {
    const outputs = names.map((name) => this.#unique(name));
    this.nodes.push({
      op,
      domain: "",
      name: outputs[0],
      inputs: [...inputs],
      outputs: [...outputs],
      attributes: new Map(Object.entries(attributes)),
    });
    return outputs;
  }

  constant(name: string, value: Tensor): string {
    const unique = this.#unique(name);
    this.initializers.set(unique, value);
    return unique;
  }

  /** Adds a small constant, or gives the name of the same one that is there already. */
  shared(name: string, value: Tensor): string {
    const key = `${value.dtype}[${value.dims.join()}]${value.bytes.join()}`;
    const known = this.#shared.get(key) ?? this.constant(name, value);
    this.#shared.set(key, known);
    return known;
  }

  #unique(name: string): string {
    let unique = name;
    for (let i = 2; this.#taken.has(unique); i++) unique = `${name}~${i}`;
    this.#taken.add(unique);
    return unique;
  }
}
