/** Reads the attributes and constant inputs of a node. */

import { NetworkError } from "../errors.js";
import type { Constant, Graph, Node } from "./types.js";

/** @throws NetworkError that names the node. */
export function refuse(node: Node, what: string): never {
  throw new NetworkError(`node "${node.name}" (${node.op}): ${what}`);
}

export function numberOf(node: Node, name: string, fallback: number): number {
  const value = node.attributes.get(name);
  return typeof value === "number" ? value : fallback;
}

export function textOf(node: Node, name: string, fallback: string): string {
  const value = node.attributes.get(name);
  return typeof value === "string" ? value : fallback;
}

/** A list of whole numbers, or undefined if the node does not have it. */
export function listOf(node: Node, name: string): readonly number[] | undefined {
  const value = node.attributes.get(name);
  return Array.isArray(value) ? value.map(Number) : undefined;
}

/** A constant input, or undefined if the node leaves it out. */
export function constantOf(graph: Graph, node: Node, index: number): Constant | undefined {
  const input = node.inputs[index] ?? "";
  if (input === "") return undefined;
  const constant = graph.constants.get(input);
  return constant?.data === undefined
    ? refuse(node, `input ${index} must be a constant, "${input}" is computed or of a type without kernels`)
    : constant;
}

/** The numbers of a constant input, or undefined if the node leaves it out. */
export function numbersOf(graph: Graph, node: Node, index: number): readonly number[] | undefined {
  const data = constantOf(graph, node, index)?.data;
  return data === undefined ? undefined : Array.from(data);
}
