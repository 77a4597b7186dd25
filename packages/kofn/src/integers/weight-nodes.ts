/** Finds where a graph applies the weights of its layers, and what integer kernels take in with them. */

import { prunableLayers, weightOf } from "../layers/layers.js";
import type { PrunableLayer } from "../layers/types.js";
import { getInt, type Graph, type Node } from "../onnx/model.js";

/** Operators that only move or choose elements: it makes no difference whether values are quantized before or behind them. */
const MOVES: ReadonlySet<string> = new Set([
  "Flatten",
  "Identity",
  "MaxPool",
  "Reshape",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);

/** Who reads the values of a graph. */
export class Readers {
  readonly #readers = new Map<string, Node[]>();
  readonly #outputs: ReadonlySet<string>;

  constructor(graph: Graph) {
    this.#outputs = new Set(graph.outputs.map(({ name }) => name));
    for (const node of graph.nodes) {
      for (const input of new Set(node.inputs)) {
        const readers = this.#readers.get(input);
        if (readers === undefined) this.#readers.set(input, [node]);
        else readers.push(node);
      }
    }
  }

  of(value: string): readonly Node[] {
    return this.#readers.get(value) ?? [];
  }

  isOutput(value: string): boolean {
    return this.#outputs.has(value);
  }

  /** The node that reads a value, if nothing else does. */
  only(value: string): Node | undefined {
    const readers = this.of(value);
    return readers.length === 1 && !this.isOutput(value) ? readers[0] : undefined;
  }
}

/** A node that applies the weight of a layer. */
export interface WeightNode {
  readonly layer: PrunableLayer;
  readonly node: Node;
  /** The batch normalisation of stored statistics that alone reads a convolution's result. */
  readonly norm?: Node;
  /** The Add that puts the bias on a MatMul. */
  readonly add?: Node;
  /** The value behind normalisation, bias and Relu or Clip: what an integer kernel makes. */
  readonly result: string;
}

/** All nodes that apply a stored weight, in the order of the graph. */
export function weightNodes(graph: Graph, readers = new Readers(graph)): WeightNode[] {
  const layers = new Map(prunableLayers(graph).map((layer) => [layer.weight, layer]));
  return graph.nodes.flatMap((node) => {
    const layer = layers.get(weightOf(graph, node)?.name ?? "");
    return layer === undefined ? [] : [weightNode(graph, readers, layer, node)];
  });
}

function weightNode(graph: Graph, readers: Readers, layer: PrunableLayer, node: Node): WeightNode {
  const next = readers.only(node.outputs[0]);
  const norm = node.op === "Conv" && next !== undefined && isStoredNorm(graph, next) ? next : undefined;
  const isBias = next?.op === "Add" && next.inputs.some((input) => input === layer.bias);
  const add = node.op === "MatMul" && isBias ? next : undefined;
  const value = (norm ?? add ?? node).outputs[0];
  return {
    layer,
    node,
    ...(norm === undefined ? {} : { norm }),
    ...(add === undefined ? {} : { add }),
    result: takenIn(readers.only(value), value) ?? value,
  };
}

/** The result of an activation function that kernels take in: Relu, or Clip of a value. */
function takenIn(reader: Node | undefined, value: string): string | undefined {
  if (reader?.inputs[0] !== value) return undefined;
  return reader.op === "Relu" || reader.op === "Clip" ? reader.outputs[0] : undefined;
}

/** Whether a node normalises by constants. */
function isStoredNorm(graph: Graph, node: Node): boolean {
  return (
    node.op === "BatchNormalization" &&
    getInt(node, "training_mode", 0) === 0 &&
    node.inputs.slice(1).every((input) => graph.initializers.has(input))
  );
}

/** The value that is `value` itself, moved: behind operators that move elements, as long as each is the only reader. */
export function movedOn(readers: Readers, value: string): string[] {
  const values = [value];
  for (;;) {
    const reader = readers.only(values[values.length - 1]);
    if (reader?.domain !== "" || !MOVES.has(reader.op)) return values;
    values.push(reader.outputs[0]);
  }
}
