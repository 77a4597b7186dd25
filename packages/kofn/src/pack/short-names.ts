/** Gives the values between packed constants and weights short names, as in a small file names take more than numbers. */

import type { Node } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import type { Assembly } from "../onnx/assembly.js";

/**
 * The nodes of an assembly, without names of their own, and its constants. What they make and read is numbered, but for the
 * results and for constants that were there before.
 *
 * @param results names that stay.
 * @param before constants that stay as they are called.
 */
export function shortNames(
  { nodes, initializers }: Pick<Assembly, "nodes" | "initializers">,
  results: ReadonlySet<string>,
  before: ReadonlySet<string>,
): { nodes: Node[]; initializers: Map<string, Tensor> } {
  const short = new Map<string, string>();
  let last = 0;
  const unused = (): string => {
    const name = `~${++last}`;
    return results.has(name) || before.has(name) ? unused() : name;
  };
  const shortened = (name: string): string => {
    if (results.has(name) || before.has(name)) return name;
    const known = short.get(name) ?? unused();
    short.set(name, known);
    return known;
  };
  return {
    initializers: new Map([...initializers].map(([name, value]) => [shortened(name), value])),
    nodes: nodes.map((node) => ({
      ...node,
      name: "",
      inputs: node.inputs.map(shortened),
      outputs: node.outputs.map(shortened),
    })),
  };
}
