/** Shape and type inference of one node: the total table of shape rules. */

import type { Node, ValueType } from "../model.js";
import { opOf, type OpTable } from "../ops.js";
import type { Tensor } from "../tensor.js";
import { activations } from "./activations.js";
import { ARITY, checkArity } from "./arity.js";
import { batchNorm } from "./batch-norm.js";
import { elementwise } from "./elementwise.js";
import { linear } from "./linear.js";
import { movement } from "./movement.js";
import { normalization } from "./normalization.js";
import { pooling } from "./pool.js";
import { quantizers } from "./quantize.js";
import { rearranging } from "./rearrange.js";
import { reductions } from "./reduce.js";
import { reshaping } from "./reshape.js";
import { resizing } from "./resize.js";
import type { InferRule } from "./support.js";
import { training } from "./training.js";

const RULES: OpTable<InferRule> = {
  ...activations,
  ...elementwise,
  ...normalization,
  ...movement,
  ...rearranging,
  ...reshaping,
  ...resizing,
  ...reductions,
  ...linear,
  ...pooling,
  ...batchNorm,
  ...quantizers,
  ...training,
};

/**
 * The types of a node's outputs, one per output.
 *
 * Dimensions may be numbers, names or undefined; what can't be known is undefined, and so is a shape whose rank can't
 * be known.
 *
 * @param inputs types of the inputs; undefined for one that is left out.
 * @param constants values of the inputs that are known at compile time (the shape of a Reshape, the axes of a
 * ReduceSum); undefined for the others.
 * @throws InputError naming the node and the shapes that do not fit, for an operator that kofn does not know, for
 * missing inputs and for attributes that make no sense.
 * @example
 * const matMul: Node = { op: "MatMul", domain: "", name: "fc", inputs: ["x", "w"], outputs: ["y"], attributes: new Map() };
 * const x = { dtype: "float32", shape: ["batch", 784] } as const;
 * const w = { dtype: "float32", shape: [784, 10] } as const;
 * inferNode(matMul, [x, w], []); // [{ dtype: "float32", shape: ["batch", 10] }]
 */
export function inferNode(
  node: Node,
  inputs: readonly (ValueType | undefined)[],
  constants: readonly (Tensor | undefined)[],
): ValueType[] {
  const op = opOf(node);
  checkArity(
    node,
    inputs.map((type) => type !== undefined),
    ARITY[op],
  );
  const types = RULES[op]({ node, inputs, constants }).slice(0, node.outputs.length);
  return types.map(({ dtype, shape }) => ({ dtype, shape }));
}
