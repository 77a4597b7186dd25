/** The reference evaluator of one node: the total table of rules. */

import { inferNode } from "../infer/node.js";
import { fail, formatShape } from "../infer/support.js";
import type { Node } from "../model.js";
import { opOf, type OpTable } from "../ops.js";
import type { Tensor } from "../tensor.js";
import { activations } from "./activations.js";
import { batchNormalisation } from "./batch-norm.js";
import { convolution } from "./conv.js";
import { elementwise } from "./elementwise.js";
import { linear } from "./linear.js";
import { movement } from "./movement.js";
import { normalization } from "./normalization.js";
import { pooling } from "./pool.js";
import { quantizers } from "./quantize.js";
import { rearranging } from "./rearrange.js";
import { reductions } from "./reduce.js";
import { resizing } from "./resize.js";
import { sampler } from "./sampler.js";
import type { EvaluateRule, OutputType } from "./support.js";
import { training } from "./training.js";

const RULES: OpTable<EvaluateRule> = {
  ...activations,
  ...elementwise,
  ...normalization,
  ...movement,
  ...rearranging,
  ...reductions,
  ...resizing,
  ...linear,
  ...convolution,
  ...pooling,
  ...batchNormalisation,
  ...quantizers,
  ...training,
  ...sampler,
};

/**
 * Computes a node's outputs, one per output.
 *
 * It is written to be right, not fast: the oracle of gradient checks and the engine of constant folding. Floating-point
 * types are computed in double precision and rounded at the output; 64-bit integers are computed exactly.
 *
 * @param inputs values of the inputs; undefined for one that is left out.
 * @throws InputError as {@link inferNode} does, and for values that make no sense (indices out of range, integer
 * division by zero).
 * @throws KofnError for element types that kofn does not compute with (float16, int4, ...).
 * @example
 * const add: Node = { op: "Add", domain: "", name: "", inputs: ["a", "b"], outputs: ["c"], attributes: new Map() };
 * const a = tensorFrom("float32", [2], [1, 2]);
 * evaluateNode(add, [a, a])[0].numbers(); // [2, 4]
 */
export function evaluateNode(node: Node, inputs: readonly (Tensor | undefined)[]): Tensor[] {
  const types = inferNode(
    node,
    inputs.map((value) => value && { dtype: value.dtype, shape: value.dims }),
    inputs,
  );
  const outputs = types.map(({ dtype, shape }): OutputType => {
    const dims = shape?.filter((dim) => typeof dim === "number");
    if (dims?.length !== shape?.length || dims === undefined) {
      fail(node, `its output shape ${formatShape(shape)} does not follow from its inputs`);
    }
    return { dtype, dims };
  });
  return RULES[opOf(node)]({ node, inputs, outputs }).slice(0, node.outputs.length);
}
