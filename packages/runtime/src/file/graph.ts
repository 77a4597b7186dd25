/** Reads the section with the graph. */

import {
  type ATTRIBUTE_KINDS,
  ESCAPE,
  IS_RESULT,
  MOST_STRING_BYTES,
  RANKS,
  SAME_TYPE,
} from "@kofn/format/file/fields.js";
import { ATTRIBUTES, OPERATORS } from "@kofn/format/file/operators.js";
import { ACTIVATION_FORMATS } from "@kofn/format/run/words.js";
import type { Activation, Attribute, Constant, Graph, Node, ValueInfo } from "../graph/types.js";
import type { Readers } from "./container.js";
import type { Reader } from "./reader.js";
import { readConstants, readTensor } from "./tensors.js";

export function readGraph(readers: Readers, fileBytes: number): Graph {
  const { graph } = readers;
  const strings = readStrings(graph);
  const name = (): string => strings[graph.below(strings.length, "a string")];
  // Name, IR version, producer and its version.
  name();
  graph.uint();
  name();
  name();
  graph.list(() => [name(), graph.uint()]);
  const constants = readConstants(readers, name, fileBytes);
  const value = (): ValueInfo => ({ name: name(), dims: readDims(graph) });
  const [inputs, outputs] = [graph.list(value), graph.list(value)];
  const nodes = graph.list(() => readNode(graph, name));
  const activations = graph.list(() => readActivation(graph, name));
  graph.end();
  return foldConstants({ inputs, outputs, nodes, constants, activations });
}

function readStrings(graph: Reader): string[] {
  let before = new Uint8Array();
  let total = 0;
  const part = (size: number): number => (size === ESCAPE ? ESCAPE + graph.uint() : size);
  const strings = graph.list(() => {
    const byte = graph.byte();
    const [length, shared] = [part(byte & 15), part(byte >> 4)];
    total += shared + length;
    if (shared > before.length || total > MOST_STRING_BYTES) graph.fail("a string that does not fit");
    const bytes = new Uint8Array(shared + length);
    bytes.set(before.subarray(0, shared));
    bytes.set(graph.bytes(length), shared);
    before = bytes;
    return graph.decode(bytes);
  });
  return ["", ...strings];
}

/** The dimensions of a type; undefined if they are not known. */
function readDims(graph: Reader): (number | undefined)[] | undefined {
  const number = graph.uint();
  if (number === SAME_TYPE) return undefined;
  const rank = Math.floor(number / RANKS) - 1;
  if (rank > graph.left) graph.fail(`a shape of ${rank} dimensions`);
  if (rank < 0) return undefined;
  return Array.from({ length: rank }, () => {
    const dim = graph.uint();
    return dim % 2 === 0 ? dim / 2 : undefined;
  });
}

function readNode(graph: Reader, name: () => string): Node {
  const code = graph.below(OPERATORS.length + 1, "the number of an operator");
  const domain = code === 0 ? name() : "";
  const op = code === 0 ? name() : OPERATORS[code - 1];
  const own = name();
  const inputs = graph.list(name);
  const outputs = graph.list(() => {
    const output = name();
    readDims(graph);
    return output;
  });
  if (outputs.length === 0) graph.fail(`node "${own}" without outputs`);
  const attributes = graph.list((): [string, Attribute] => {
    const number = graph.below(ATTRIBUTES.length + 1, "the number of an attribute");
    const key = number === 0 ? name() : ATTRIBUTES[number - 1];
    return [key, readAttribute(graph)];
  });
  return {
    op: domain === "" ? op : `${domain}:${op}`,
    name: own,
    inputs,
    outputs,
    attributes: new Map(attributes),
  };
}

/** What attributes of each kind are read as. */
interface Values {
  readonly float: number;
  readonly int: number;
  readonly string: string;
  readonly tensor: Constant;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly strings: readonly string[];
}

type ReadersOf<Kinds extends readonly unknown[]> = {
  readonly [I in keyof Kinds]: Kinds[I] extends keyof Values
    ? (graph: Reader) => Values[Kinds[I]]
    : undefined;
};

/** How attributes are read, by the numbers of their kinds. */
const READERS: ReadersOf<typeof ATTRIBUTE_KINDS> = [
  undefined,
  (graph) => graph.f32(),
  (graph) => graph.int(),
  characters,
  readTensor,
  undefined,
  (graph) => graph.list(() => graph.f32()),
  (graph) => graph.list(() => graph.int()),
  (graph) => graph.list(() => characters(graph)),
];

function readAttribute(graph: Reader): Attribute {
  const kind = graph.uint();
  const read = READERS.at(kind) ?? graph.fail(`an attribute of kind ${kind}`);
  return read(graph);
}

function readActivation(graph: Reader, name: () => string): Activation {
  const value = name();
  name();
  const number = graph.below(2 * IS_RESULT, "a format");
  const format = ACTIVATION_FORMATS.at(number % IS_RESULT) ?? graph.fail(`an activation of format ${number}`);
  const [scale, zero] = [graph.f64(), graph.f64()];
  if (!(scale > 0 && scale < Infinity) || !Number.isFinite(zero))
    graph.fail(`scale ${scale} and zero point ${zero}`);
  return { value, isResult: number >= IS_RESULT, format, scale, zero };
}

/** Nodes of the operator Constant as constants, and inputs of the graph that are none. */
function foldConstants(graph: Graph): Graph {
  const constants = new Map<string, Constant>(graph.constants);
  const nodes = graph.nodes.filter(({ op, attributes, outputs }) => {
    const value = attributes.get("value");
    if (op !== "Constant" || typeof value !== "object" || !("dims" in value)) return true;
    constants.set(outputs[0], value);
    return false;
  });
  return { ...graph, constants, nodes, inputs: graph.inputs.filter(({ name }) => !constants.has(name)) };
}

/** Bytes as characters of the same numbers. */
function characters(graph: Reader): string {
  return Array.from(graph.blob(), (byte) => String.fromCharCode(byte)).join("");
}
