/** Where a model has Dropout, which its import leaves out: training has it back. */

import { InputError } from "../errors.js";
import { getFloat, type Graph, type Model, type Node } from "../onnx/model.js";
import { imported } from "./import.js";

/** An input of a node that reads a value through Dropout. */
export interface DropoutReader {
  /** The first output of the node. */
  readonly node: string;
  readonly input: number;
}

/** A Dropout of a model, in the names of the model that `importModel` gives. */
export interface Dropout {
  /** What the node's output is called in the file. */
  readonly name: string;
  /** The value of which elements are dropped. */
  readonly tensor: string;
  /** The probability that an element is dropped, below 1. */
  readonly ratio: number;
  readonly readers: readonly DropoutReader[];
}

/**
 * The Dropout of a model, whether it was exported for training or for inference: whoever trains a network that has Dropout trains with it.
 * One of ratio 0 is none, nor is one that hands on to the model's output alone.
 *
 * @param model as it was exported.
 * @throws InputError as `importModel` does; if a ratio is no number of at least 0 and below 1 that is stored in the model.
 *
 * @example
 * dropoutsOf(await loadModel("alexnet.onnx")); // [{ name: "drop6", tensor: "relu6", ratio: 0.5, readers: [...] }, ...]
 */
export function dropoutsOf(model: Model): Dropout[] {
  const isDropout = ({ op, domain }: Node): boolean => op === "Dropout" && domain === "";
  if (!model.graph.nodes.some(isDropout)) return [];
  const ratios = new Map(
    model.graph.nodes.filter(isDropout).map((node) => [node.outputs[0], () => ratioOf(model, node)]),
  );
  const { graph } = imported(model, { keepsDropout: true });
  const dropouts = graph.nodes.filter(isDropout);
  const sources = new Map(dropouts.map(({ inputs, outputs }) => [outputs[0], inputs[0]]));
  return dropouts.flatMap(({ outputs: [name] }) => {
    const readers = readersOf(graph, name, sources);
    const ratio = ratios.get(name)?.() ?? 0;
    if (readers.length === 0 || ratio === 0) return [];
    return [{ name, tensor: beforeDropout(name, sources), ratio, readers }];
  });
}

/** What a chain of Dropout begins with. */
function beforeDropout(name: string, sources: ReadonlyMap<string, string>): string {
  const source = sources.get(name);
  return source === undefined ? name : beforeDropout(source, sources);
}

/** Who reads a Dropout's output, at once or through others. */
function readersOf(graph: Graph, name: string, sources: ReadonlyMap<string, string>): DropoutReader[] {
  return graph.nodes.flatMap((node) =>
    node.inputs.flatMap((input, i) => {
      if (input !== name) return [];
      if (sources.has(node.outputs[0])) return readersOf(graph, node.outputs[0], sources);
      return [{ node: node.outputs[0], input: i }];
    }),
  );
}

/** Up to operator set 11 an attribute, then an input; both 0.5 if left out. */
function ratioOf({ graph }: Model, node: Node): number {
  const name = node.inputs.at(1) ?? "";
  const constant = graph.nodes.find(({ op, outputs }) => op === "Constant" && outputs[0] === name);
  const value = constant?.attributes.get("value");
  const stored = graph.initializers.get(name) ?? (value?.kind === "tensor" ? value.value : undefined);
  const ratio =
    name === ""
      ? getFloat(node, "ratio", 0.5)
      : (stored?.numbers()[0] ?? constant?.attributes.get("value_float")?.value);
  if (typeof ratio === "number" && ratio >= 0 && ratio < 1) return ratio;
  throw new InputError(
    `model "${graph.name}": node "${node.name}" (Dropout): expected a stored ratio of at least 0 and below 1, got ` +
      `${typeof ratio === "number" ? ratio : `"${name}", which is computed`}; export the model with a constant ratio, or in evaluation mode`,
  );
}
