/** Small changes to nodes, each giving a new node, and what to call nodes in messages. */

import { InputError } from "../errors.js";
import { describeNode } from "../onnx/infer/support.js";
import type { Attribute, Node } from "../onnx/model.js";

/** The node without some of its attributes. */
export function without(node: Node, ...names: readonly string[]): Node {
  const attributes = new Map([...node.attributes].filter(([name]) => !names.includes(name)));
  return { ...node, attributes };
}

/** The node with an attribute set. */
export function withAttribute(node: Node, name: string, value: Attribute): Node {
  return { ...node, attributes: new Map(node.attributes).set(name, value) };
}

/** The node with a value as one of its inputs; inputs before it that it lacks are left out (""). */
export function withInput(node: Node, index: number, value: string): Node {
  const inputs = [...node.inputs];
  while (inputs.length < index) inputs.push("");
  inputs[index] = value;
  return { ...node, inputs };
}

/** So many problems are named in one message. */
const REPORTED = 10;

/**
 * @param what opens the message: `model "resnet": kofn can't import`.
 * @throws InputError naming each problem's node, up to ten of them, if there is any.
 */
export function reportProblems(
  what: string,
  problems: readonly { readonly node: Node; readonly reason: string }[],
  remedy: string,
): void {
  if (problems.length === 0) return;
  const named = problems.slice(0, REPORTED).map(({ node, reason }) => `${describeNode(node)}: ${reason}`);
  const more = problems.length > REPORTED ? `; and ${problems.length - REPORTED} more` : "";
  const count = problems.length === 1 ? "one node" : `${problems.length} nodes`;
  throw new InputError(`${what} ${count}: ${named.join("; ")}${more}. ${remedy}`);
}
