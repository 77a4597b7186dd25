/** Checks that a model is well formed: what ONNX demands of names, order, types and operator sets. */

import { InputError } from "../errors.js";
import type { Attribute, Dim, Graph, Model, Node, ValueType } from "./model.js";
import { printType } from "./print.js";

/** Versions of the standard operator set that kofn reads. */
const OLDEST_OPSET = 7;
const NEWEST_OPSET = 26;

/** The newest IR version that onnxruntime reads. */
const NEWEST_IR = 13;

/** The compiler's own dialect, which is in no model's opset_import. */
const KOFN_DOMAIN = "kofn";

/** So many problems are reported at once. */
const REPORTED = 5;

/** Kinds of those attributes that have one and the same kind in every standard operator. */
const ATTRIBUTE_KINDS: ReadonlyMap<string, Attribute["kind"]> = new Map([
  ...namesOf("float", "alpha", "beta", "gamma", "epsilon", "momentum", "ratio", "value_float"),
  ...namesOf(
    "int",
    ...[
      "allowzero",
      "axis",
      "batch_dims",
      "ceil_mode",
      "count_include_pad",
      "exclusive",
      "group",
      "keepdims",
    ],
    ...["largest", "noop_with_empty_axes", "reverse", "select_last_index", "sorted", "storage_order", "to"],
    ...["training_mode", "transA", "transB", "value_int"],
  ),
  ...namesOf("ints", "axes", "dilations", "kernel_shape", "output_padding", "perm", "strides", "value_ints"),
  ...namesOf("string", "auto_pad", "equation", "mode", "reduction", "value_string"),
  ...namesOf("tensor", "value"),
  ...namesOf("floats", "value_floats"),
  ...namesOf("strings", "value_strings"),
  ...namesOf("graph", "body", "else_branch", "then_branch"),
]);

function namesOf<Kind extends Attribute["kind"]>(kind: Kind, ...names: string[]): [string, Kind][] {
  return names.map((name) => [name, kind]);
}

/**
 * Checks that kofn can read the model's IR version and its version of the standard operators.
 *
 * @param source the file's name, for error messages.
 * @throws InputError if it can't, or if the model does not say its versions.
 */
export function checkOpsets({ irVersion, opsets }: Model, source = "the model"): void {
  if (irVersion < 1 || irVersion > NEWEST_IR) {
    throw new InputError(
      `${source}: the model has IR version ${irVersion}, and kofn reads 1 to ${NEWEST_IR}; export it with another version`,
    );
  }
  const version = opsets.get("");
  if (version === undefined) {
    throw new InputError(
      `${source}: the model's opset_import does not say which version of the standard operators (ai.onnx) it uses; ` +
        `kofn reads ${OLDEST_OPSET} to ${NEWEST_OPSET}`,
    );
  }
  if (version < OLDEST_OPSET || version > NEWEST_OPSET) {
    throw new InputError(
      `${source}: the model uses version ${version} of the standard operators (ai.onnx), and kofn reads ` +
        `${OLDEST_OPSET} to ${NEWEST_OPSET}; export it with another opset_version`,
    );
  }
}

/**
 * Checks that a model is well formed.
 *
 * @param source the file's name, for error messages.
 * @throws InputError with the first few problems and their places.
 *
 * @example
 * validate(await loadModel("lenet.onnx"), "lenet.onnx");
 */
export function validate(model: Model, source = "the model"): void {
  checkOpsets(model, source);
  const problems = new Problems();
  if (model.graph.outputs.length === 0) problems.add("graph", "it has no outputs");
  checkGraph(model.graph, model.opsets, "graph", new Set(), problems);
  problems.report(source);
}

class Problems {
  readonly #found: string[] = [];
  #count = 0;

  add(place: string, what: string): void {
    this.#count++;
    if (this.#found.length < REPORTED) this.#found.push(`${place}: ${what}`);
  }

  report(source: string): void {
    if (this.#count === 0) return;
    const more = this.#count > REPORTED ? `; and ${this.#count - REPORTED} more` : "";
    throw new InputError(`${source}: the model is not well formed: ${this.#found.join("; ")}${more}`);
  }
}

/** @param outer names of the values of the graphs around this one, which it may use. */
function checkGraph(
  graph: Graph,
  opsets: ReadonlyMap<string, number>,
  path: string,
  outer: ReadonlySet<string>,
  problems: Problems,
): void {
  const made = new Map<string, string>();
  const make = (name: string, maker: string): void => {
    const before = made.get(name);
    if (before === undefined) made.set(name, maker);
    else problems.add(path, `"${name}" is made twice, by ${before} and by ${maker}`);
  };
  checkInputs(graph, path, make, problems);
  checkInitializers(graph, path, made, make, problems);

  const nodeOutputs = new Set(graph.nodes.flatMap((node) => node.outputs));
  const visible = new Set([...outer, ...made.keys(), ...nodeOutputs]);
  let ordered = true;
  for (const [index, node] of graph.nodes.entries()) {
    const place = describe(node, index, path);
    if (node.op === "") problems.add(place, "its operator has no name");
    if (!opsets.has(node.domain) && node.domain !== KOFN_DOMAIN) {
      problems.add(place, `the model's opset_import does not name its domain "${node.domain}"`);
    }
    for (const name of node.inputs) {
      if (name !== "" && !visible.has(name)) problems.add(place, `nothing makes its input "${name}"`);
    }
    ordered &&= readBy(node).every((name) => made.has(name) || !nodeOutputs.has(name));
    checkAttributes(node, opsets, place, visible, problems);
    if (node.outputs.every((output) => output === "")) problems.add(place, "it has no outputs");
    for (const output of node.outputs) if (output !== "") make(output, place);
  }
  if (!ordered) reportOrder(graph, path, problems);

  const outputs = new Set<string>();
  for (const { name, type } of graph.outputs) {
    if (outputs.has(name)) problems.add(path, `"${name}" is an output twice`);
    outputs.add(name);
    if (!visible.has(name)) problems.add(path, `nothing makes its output "${name}"`);
    checkType(name, type, path, problems);
  }
  for (const [name, type] of graph.valueTypes) checkType(name, type, path, problems);
}

function checkInputs(
  graph: Graph,
  path: string,
  make: (name: string, maker: string) => void,
  problems: Problems,
): void {
  for (const { name, type } of graph.inputs) {
    if (name === "") problems.add(path, "an input has no name");
    else make(name, "the graph's inputs");
    checkType(name, type, path, problems);
  }
}

/** An initializer may have the name of an input, whose default value it then is. */
function checkInitializers(
  graph: Graph,
  path: string,
  made: ReadonlyMap<string, string>,
  make: (name: string, maker: string) => void,
  problems: Problems,
): void {
  const inputs = new Map(graph.inputs.map(({ name, type }) => [name, type]));
  for (const [name, { dtype, dims }] of graph.initializers) {
    if (name === "") problems.add(path, "an initializer has no name");
    else if (!made.has(name)) make(name, "the initializers");
    const type = inputs.get(name);
    if (type === undefined) continue;
    const fits =
      type.dtype === dtype &&
      (type.shape === undefined ||
        (type.shape.length === dims.length &&
          type.shape.every((dim, axis) => typeof dim !== "number" || dim === dims[axis])));
    if (!fits) {
      const found = printType({ dtype, shape: dims });
      problems.add(path, `initializer "${name}" is ${found}, but the input of that name ${printType(type)}`);
    }
  }
}

function checkAttributes(
  node: Node,
  opsets: ReadonlyMap<string, number>,
  place: string,
  visible: ReadonlySet<string>,
  problems: Problems,
): void {
  for (const [name, attribute] of node.attributes) {
    if (name === "") problems.add(place, "an attribute has no name");
    const expected = node.domain === "" ? ATTRIBUTE_KINDS.get(name) : undefined;
    if (expected !== undefined && attribute.kind !== expected && attribute.kind !== "opaque") {
      problems.add(
        place,
        `its attribute "${name}" is of kind ${attribute.kind} where ${expected} is expected`,
      );
    }
    if (attribute.kind === "graph") {
      checkGraph(attribute.value, opsets, `${place}, ${name}`, visible, problems);
    }
  }
}

function checkType(name: string, type: ValueType | undefined, path: string, problems: Problems): void {
  for (const dim of type?.shape ?? []) {
    if (!isDim(dim)) problems.add(path, `value "${name}" has the dimension ${JSON.stringify(dim)}`);
  }
}

function isDim(dim: Dim): boolean {
  if (typeof dim === "number") return Number.isSafeInteger(dim) && dim >= 0;
  return dim !== "";
}

function reportOrder(graph: Graph, path: string, problems: Problems): void {
  const { cycle } = sort(graph);
  if (cycle !== undefined) problems.add(path, describeCycle(cycle));
  else problems.add(path, "its nodes are out of order: values are used before they are made");
}

function describeCycle(cycle: readonly Node[]): string {
  const names = [...cycle, cycle[0]].map(labelOf);
  const shown = names.length > 10 ? [...names.slice(0, 8), "...", names[names.length - 1]] : names;
  return `its nodes form a cycle: ${shown.join(" -> ")}`;
}

/** What a node reads: its inputs, and the values of this graph that its subgraphs use. */
function readBy(node: Node): string[] {
  return [...node.inputs.filter((name) => name !== ""), ...capturedBy(node)];
}

/** Names that a node's subgraphs use but do not make. */
function capturedBy(node: Node): string[] {
  const captured: string[] = [];
  for (const attribute of node.attributes.values()) {
    if (attribute.kind !== "graph") continue;
    const { inputs, initializers, nodes, outputs } = attribute.value;
    const own = new Set([
      ...inputs.map(({ name }) => name),
      ...initializers.keys(),
      ...nodes.flatMap((inner) => inner.outputs),
    ]);
    const used = [...nodes.flatMap(readBy), ...outputs.map(({ name }) => name)];
    for (const name of used) if (!own.has(name)) captured.push(name);
  }
  return captured;
}

/**
 * The nodes of a graph in an order in which every value is made before it is used. Nodes that are in order already stay
 * where they are.
 *
 * @throws InputError naming the nodes of a cycle, if there is one.
 *
 * @example
 * graph.nodes = topologicalSort(graph);
 */
export function topologicalSort(graph: Graph): Node[] {
  const { order, cycle } = sort(graph);
  if (cycle !== undefined) throw new InputError(`graph "${graph.name}": ${describeCycle(cycle)}`);
  return order;
}

/** Depth-first search with a stack of its own: chains of nodes are longer than the call stack. */
function sort({ nodes }: Graph): { order: Node[]; cycle?: Node[] } {
  const makers = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) makers.set(output, node);
  const order: Node[] = [];
  const state = new Map<Node, "open" | "done">();
  for (const root of nodes) {
    if (state.has(root)) continue;
    const path = [{ node: root, sources: readBy(root), next: 0 }];
    state.set(root, "open");
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      if (top.next === top.sources.length) {
        order.push(top.node);
        state.set(top.node, "done");
        path.pop();
        continue;
      }
      const source = makers.get(top.sources[top.next++]);
      if (source === undefined || state.get(source) === "done") continue;
      if (state.get(source) === "open") {
        // The path leads from users to makers; a cycle reads better the way data flows.
        const [first, ...rest] = path.slice(path.findIndex(({ node }) => node === source));
        return { order, cycle: [first, ...rest.reverse()].map(({ node }) => node) };
      }
      state.set(source, "open");
      path.push({ node: source, sources: readBy(source), next: 0 });
    }
  }
  return { order };
}

function labelOf(node: Node): string {
  return `${node.op} "${node.name === "" ? (node.outputs[0] ?? "") : node.name}"`;
}

function describe(node: Node, index: number, path: string): string {
  return `${path}.node[${index}] (${labelOf(node)})`;
}
