/** What a gradient rule is, and what it sees. */

import type { Builder } from "../onnx/builder.js";
import type { Node } from "../onnx/model.js";

/** What a rule sees of the node whose gradient it writes. */
export interface RuleContext {
  readonly b: Builder;
  readonly node: Node;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Gradients of the loss with respect to the outputs; undefined where the loss does not depend on one. */
  readonly dOutputs: readonly (string | undefined)[];
  /** Whether the gradient with respect to this input is wanted. A rule may skip the work for others. */
  readonly wants: (input: number) => boolean;
  /** The gradient of the first output, which nearly all operators have alone. */
  readonly dY: string;
  /** What the gradient of this input is called. */
  readonly gradName: (input: number) => string;
}

/**
 * Appends the nodes that compute the gradients with respect to the inputs, and returns their names in input order.
 * A gradient may have the broadcast shape of the output: the walker sums it to the input's shape.
 */
export type GradientRule = (context: RuleContext) => (string | undefined)[];

export type Rule =
  | GradientRule
  /** The output is piecewise constant in every input (or no float at all): the gradient is zero. */
  | "zero"
  /** There is no gradient, for this reason. */
  | { readonly forbidden: string };

/** The name of an input that a node may leave out; undefined where it does. */
export function optionalInput(inputs: readonly string[], position: number): string | undefined {
  const name = inputs.at(position);
  return name === "" ? undefined : name;
}
