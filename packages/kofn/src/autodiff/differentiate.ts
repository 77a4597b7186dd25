/** Reverse-mode differentiation of an ONNX graph: appends the nodes that compute the gradients of a scalar. */

import { InputError, KofnError } from "../errors.js";
import type { Builder } from "../onnx/builder.js";
import type { Node } from "../onnx/model.js";
import { opOf } from "../onnx/ops.js";
import type { RuleContext } from "./rule.js";
import { RULES } from "./rules.js";

/**
 * Appends to the builder's graph the gradients of `loss` (a scalar) with respect to the values `wrt`.
 *
 * @returns the name of each gradient, which has the shape of its value; a value that the loss does not depend on is absent.
 * @throws InputError naming the node and the reason, if there is no gradient through an operator on the way.
 *
 * @example
 * const gradients = differentiate(b, "loss", ["fc1.weight"]);
 * b.output(gradients.get("fc1.weight"));
 */
export function differentiate(b: Builder, loss: string, wrt: readonly string[]): Map<string, string> {
  if (b.shape(loss).length !== 0) {
    throw new KofnError(`the loss "${loss}" must be a scalar, got shape [${b.shape(loss).join(", ")}]`);
  }
  const forward = [...b.graph.nodes];
  const active = reachableFrom(wrt, forward);
  const partial = new Map<string, string[]>([[loss, [b.scalar(1, loss)]]]);
  const collect = (value: string): string | undefined => {
    const parts = partial.get(value);
    if (parts === undefined) return undefined;
    const total = parts.length === 1 ? parts[0] : b.op("Sum", parts, {}, `d/${value}`);
    partial.set(value, [total]);
    return total;
  };
  for (const node of forward.reverse()) {
    const dOutputs = node.outputs.map(collect);
    if (dOutputs.every((d) => d === undefined) || !node.inputs.some((input) => active.has(input))) continue;
    const rule = RULES[opOf(node)];
    if (rule === "zero") continue;
    if (typeof rule !== "function") {
      throw new InputError(`node "${node.name}" (${node.op}) can't be trained through: ${rule.forbidden}`);
    }
    const gradients = rule(contextOf(b, node, dOutputs, active));
    gradients.forEach((gradient, i) => {
      const input = node.inputs[i];
      if (gradient === undefined || !active.has(input)) return;
      const parts = partial.get(input);
      const fitted = sumTo(b, gradient, b.shape(input), `d/${input}`);
      if (parts === undefined) partial.set(input, [fitted]);
      else parts.push(fitted);
    });
  }
  const result = new Map<string, string>();
  for (const value of wrt) {
    const total = collect(value);
    if (total !== undefined) result.set(value, total);
  }
  return result;
}

/** The values that depend on one of `sources` through operators that have a gradient. */
function reachableFrom(sources: readonly string[], nodes: readonly Node[]): Set<string> {
  const reached = new Set(sources);
  for (const node of nodes) {
    if (RULES[opOf(node)] === "zero" || !node.inputs.some((input) => reached.has(input))) continue;
    for (const output of node.outputs) reached.add(output);
  }
  return reached;
}

function contextOf(
  b: Builder,
  node: Node,
  dOutputs: readonly (string | undefined)[],
  active: ReadonlySet<string>,
): RuleContext {
  return {
    b,
    node,
    inputs: node.inputs,
    outputs: node.outputs,
    dOutputs,
    wants: (input) => input < node.inputs.length && active.has(node.inputs[input]),
    get dY(): string {
      const [dY] = dOutputs;
      if (dY === undefined)
        throw new KofnError(`node "${node.name}" (${node.op}): no gradient of its output`);
      return dY;
    },
    gradName: (input) => `d/${node.inputs[input]}`,
  };
}

/** Undoes broadcasting: sums a gradient over the dimensions along which a value of shape `dims` was repeated. */
export function sumTo(b: Builder, gradient: string, dims: readonly number[], name: string): string {
  const from = b.shape(gradient);
  const extra = from.length - dims.length;
  const leading = Array.from({ length: extra }, (_, i) => i);
  const repeated = dims.flatMap((dim, i) => (dim === 1 && from[extra + i] !== 1 ? [extra + i] : []));
  if (extra === 0 && repeated.length === 0) {
    return from.every((dim, i) => dim === dims[i]) ? gradient : b.expand(gradient, dims, name);
  }
  if (repeated.length === 0) return b.sum(gradient, leading, false, name);
  const summed = b.sum(gradient, [...leading, ...repeated], true, name);
  return extra === 0 ? summed : b.reshape(summed, dims, name);
}
