/** Prints graphs as text: a line per input, initializer, node and output. */

import { dataTypeOfCode, isHostType } from "./dtype.js";
import type { Attribute, Dim, Graph, Model, Node, ValueType } from "./model.js";
import { Tensor } from "./tensor.js";

/** Elements of a tensor, or values of an attribute, that are printed. */
const SHOWN = 8;
/** Of longer ones, only so many. */
const SHOWN_OF_MORE = 3;

/**
 * A graph as text. Values have a "%" before their names, initializers have none; "_" is an input or output that is left
 * out; "?" is an unknown dimension and "[*]" an unknown rank.
 *
 * @example
 * printGraph(model);
 * // graph "mlp" (opset 21)
 * // input %x: float32[64, 784]
 * // init fc1.weight: float32[10, 784] {0.0123, -0.207, 0.113, ...}
 * // init fc1.bias: float32[10] {0, 0, 0, ...}
 * // %y: float32[64, 10] = Gemm(%x, fc1.weight, fc1.bias; transB=1)
 * // output %y: float32[64, 10]
 */
export function printGraph(printed: Graph | Model): string {
  if (!("graph" in printed))
    return lines(printed, `graph ${JSON.stringify(printed.name)}`, new Set()).join("\n");
  const opsets = [...printed.opsets].map(([domain, version]) =>
    domain === "" ? `opset ${version}` : `${domain} ${version}`,
  );
  const title = `graph ${JSON.stringify(printed.graph.name)} (${opsets.join(", ")})`;
  return lines(printed.graph, title, new Set()).join("\n");
}

/** @param outer names of the initializers of the graphs around this one. */
function lines(graph: Graph, title: string, outer: ReadonlySet<string>): string[] {
  const constants = new Set([...outer, ...graph.initializers.keys()]);
  const types = new Map(graph.valueTypes);
  for (const { name, type } of graph.outputs) if (type !== undefined) types.set(name, type);
  const reference = (name: string): string => {
    if (name === "") return "_";
    return constants.has(name) ? name : `%${name}`;
  };
  const typed = (name: string, type: ValueType | undefined): string => {
    return type === undefined ? reference(name) : `${reference(name)}: ${printType(type)}`;
  };

  const result = [title];
  for (const { name, type } of graph.inputs) result.push(`input ${typed(name, type)}`);
  for (const [name, tensor] of graph.initializers) result.push(`init ${name}: ${printTensor(tensor)}`);
  for (const node of graph.nodes) {
    const outputs = node.outputs.map((name) => typed(name, types.get(name))).join(", ");
    const inputs = node.inputs.map(reference).join(", ");
    result.push(`${outputs} = ${nameOf(node)}(${inputs}${printAttributes(node)})`);
    for (const [name, attribute] of node.attributes) {
      if (attribute.kind !== "graph") continue;
      const inner = lines(
        attribute.value,
        `${name}: graph ${JSON.stringify(attribute.value.name)}`,
        constants,
      );
      result.push(...inner.map((line) => `  ${line}`));
    }
  }
  for (const { name, type } of graph.outputs) result.push(`output ${typed(name, type)}`);
  return result;
}

function nameOf(node: Node): string {
  return node.domain === "" ? node.op : `${node.domain}.${node.op}`;
}

function printAttributes(node: Node): string {
  const parts = [...node.attributes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, attribute]) => `${name}=${printAttribute(node, name, attribute)}`);
  return parts.length === 0 ? "" : `; ${parts.join(", ")}`;
}

function printAttribute(node: Node, name: string, attribute: Attribute): string {
  switch (attribute.kind) {
    case "float":
      return printNumber(attribute.value);
    case "int":
      if (node.op === "Cast" && name === "to")
        return dataTypeOfCode(Number(attribute.value)) ?? String(attribute.value);
      return String(attribute.value);
    case "string":
      return printText(attribute.value);
    case "tensor":
      return printTensor(attribute.value);
    case "graph":
      return "graph";
    case "floats":
      return `[${printSome(attribute.value, printNumber)}]`;
    case "ints":
      return `[${printSome(attribute.value, String)}]`;
    case "strings":
      return `[${printSome(attribute.value, printText)}]`;
    case "opaque":
      return `<${attribute.value.length} bytes>`;
  }
}

/** A type such as float32[batch, 784]. */
export function printType({ dtype, shape }: ValueType): string {
  return `${dtype}[${shape === undefined ? "*" : shape.map(printDim).join(", ")}]`;
}

function printDim(dim: Dim): string {
  return dim === undefined ? "?" : String(dim);
}

function printTensor(tensor: Tensor): string {
  const type = printType({ dtype: tensor.dtype, shape: tensor.dims });
  if (!isHostType(tensor.dtype) || tensor.size === 0) return type;
  const few = tensor.size <= SHOWN ? tensor.size : SHOWN_OF_MORE + 1;
  const start = tensor.bytes.subarray(0, (tensor.bytes.length / tensor.size) * few);
  const values: Iterable<number | bigint> = new Tensor(tensor.dtype, [few], start).array();
  return `${type} {${printSome([...values], printNumber, tensor.size)}}`;
}

function printSome<T>(values: readonly T[], print: (value: T) => string, count = values.length): string {
  if (count <= SHOWN) return values.map(print).join(", ");
  return [...values.slice(0, SHOWN_OF_MORE).map(print), "..."].join(", ");
}

/** Six significant digits, which hide the last bits of a float32. */
function printNumber(value: number | bigint): string {
  if (typeof value === "bigint") return String(value);
  return String(Number(value.toPrecision(6)));
}

function printText(bytes: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(bytes));
}
