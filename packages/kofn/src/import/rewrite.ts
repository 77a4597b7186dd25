/** Rewrites a graph node by node, in order: newest operators, constants and shapes folded, paddings written out. */

import { InputError } from "../errors.js";
import { isHostType } from "../onnx/dtype.js";
import { evaluateNode } from "../onnx/evaluate/node.js";
import { inferNode } from "../onnx/infer/node.js";
import { constantOf } from "../onnx/infer/reshape.js";
import { kernelShape, transposedWindow, windowOf } from "../onnx/infer/window.js";
import { type Dim, getInt, getString, type Graph, ints, type Node, type ValueType } from "../onnx/model.js";
import { isKnown } from "../onnx/ops.js";
import { sizeOf, type Tensor, tensorFrom } from "../onnx/tensor.js";
import { constantName, isConstantName, weightNames } from "./constants.js";
import { without, withAttribute } from "./node.js";
import { BATCH, constantReshape } from "./reshape.js";
import { numbersOf, type Sizes, sizesOfNode, sizesOfTensor } from "./sizes.js";
import { upgrade, type UpgradeContext } from "./upgrade.js";

/** Constants may be folded to this many elements; to more only where they don't grow. */
const FOLD_LIMIT = 1 << 12;

/** A rewritten graph, and the types of all its values. */
export interface Rewritten {
  readonly graph: Graph;
  readonly types: ReadonlyMap<string, ValueType>;
}

export interface RewriteOptions {
  /** The batch that the graph was written for, where its inputs now have an open one. */
  readonly opened?: number | undefined;
  /** Dropout stays, as what it is at inference: an operator that hands on its input. Default: it goes. */
  readonly keepsDropout?: boolean | undefined;
}

/**
 * @param graph at operator set `opset`; it is not changed.
 * @throws InputError naming a node that has no meaning, or shapes that do not fit.
 */
export function rewrite(graph: Graph, opset: number, options: RewriteOptions = {}): Rewritten {
  const rewriter = new Rewriter(graph, options);
  for (const node of graph.nodes) rewriter.add(node, opset);
  const { nodes, initializers, types } = rewriter;
  return { graph: { ...graph, nodes, initializers }, types };
}

class Rewriter implements UpgradeContext {
  readonly nodes: Node[] = [];
  readonly initializers: Map<string, Tensor>;
  readonly types = new Map<string, ValueType>();
  readonly #declared: ReadonlyMap<string, ValueType>;
  readonly #opened: number | undefined;
  readonly #keepsDropout: boolean;
  readonly #outputs: ReadonlySet<string>;
  readonly #taken: Set<string>;
  readonly #used: ReadonlySet<string>;
  readonly #weights: ReadonlySet<string>;
  /** What a value is now called. */
  readonly #aliases = new Map<string, string>();
  /** Values that are computed from shapes, as far as they are known. */
  readonly #sizes = new Map<string, Sizes>();

  constructor(graph: Graph, { opened, keepsDropout = false }: RewriteOptions) {
    this.#opened = opened;
    this.#keepsDropout = keepsDropout;
    this.#declared = opened === undefined ? declaredTypes(graph) : new Map();
    this.#outputs = new Set(graph.outputs.map(({ name }) => name));
    this.#used = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...this.#outputs]);
    this.#taken = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
    this.#weights = weightNames(graph);
    this.initializers = new Map(graph.initializers);
    for (const { name, type } of graph.inputs) {
      if (type === undefined) {
        throw new InputError(`graph input "${name}" has no tensor type; kofn takes tensors only`);
      }
      this.#taken.add(name);
      this.types.set(name, type);
    }
    for (const [name, value] of graph.initializers) {
      this.#taken.add(name);
      this.types.set(name, { dtype: value.dtype, shape: value.dims });
    }
  }

  typeOf(value: string): ValueType | undefined {
    return this.types.get(value);
  }

  constant(name: string, value: Tensor): string {
    const unique = this.unique(name);
    this.#store(unique, value);
    return unique;
  }

  unique(name: string): string {
    let unique = name;
    for (let i = 2; this.#taken.has(unique); i++) unique = `${name}_${i}`;
    this.#taken.add(unique);
    return unique;
  }

  /** Appends what a node of operator set `opset` computes. */
  add(node: Node, opset: number): void {
    const inputs = node.inputs.map((name) => this.#aliases.get(name) ?? name);
    for (const each of upgrade(this.#atInference({ ...node, inputs }), opset, this)) this.#addNewest(each);
  }

  #addNewest(node: Node): void {
    if (this.#passesThrough(node)) {
      this.#alias(node.outputs[0], node.inputs[0]);
      return;
    }
    const simplified = this.#simplified(node);
    const types = inferNode(
      simplified,
      simplified.inputs.map((name) => this.#inputType(simplified, name)),
      simplified.inputs.map((name) => this.constantOf(name)),
    );
    if (this.#folds(simplified, types)) return;
    simplified.outputs.forEach((name, i) => {
      if (name !== "") this.types.set(name, refined(types[i], this.#declared.get(name)));
    });
    this.nodes.push(this.#withoutUnreadPads(this.#padded(simplified)));
  }

  /** Dropout is what it is at inference, whatever mode the model was exported in; its mask, where nothing uses it, is not asked for. */
  #atInference(node: Node): Node {
    if (node.op !== "Dropout" || node.domain !== "") return node;
    const isMaskUsed = node.outputs.length > 1 && this.#used.has(node.outputs[1]);
    const inputs = node.inputs.slice(0, 2);
    return isMaskUsed ? { ...node, inputs } : { ...node, inputs, outputs: node.outputs.slice(0, 1) };
  }

  /** Whether a node hands on its first input: an Identity, a Dropout at inference. */
  #passesThrough({ op, inputs, outputs }: Node): boolean {
    if (op !== "Identity" && (op !== "Dropout" || this.#keepsDropout)) return false;
    return outputs.length === 1 && inputs[0] !== "" && !this.#outputs.has(outputs[0]);
  }

  /** Exporters store equal parameters once; an Identity of a stored tensor is a parameter of its own again. */
  #alias(output: string, input: string): void {
    const value = this.initializers.get(input);
    if (value === undefined) this.#aliases.set(output, input);
    else this.#store(output, value);
  }

  #simplified(node: Node): Node {
    if (node.op === "Resize") return this.#spatial(node);
    if (node.op !== "Reshape") return node;
    const [data, target] = node.inputs;
    const sizes = this.#sizesOf(target);
    const vector = (dims: readonly number[]): string => {
      const same = this.initializers.get(target)?.numbers();
      const isSame = same?.length === dims.length && dims.every((dim, i) => dim === same[i]);
      return isSame
        ? target
        : this.constant(`${node.outputs[0]}/shape`, tensorFrom("int64", [dims.length], dims));
    };
    const shape = this.types.get(data)?.shape;
    return (sizes && constantReshape(node, shape, sizes, this.#opened, vector)) ?? node;
  }

  /** A Resize with scales or sizes of the axes that it changes alone, so that it takes any batch. */
  #spatial(node: Node): Node {
    const [x] = node.inputs;
    const shape = this.types.get(x)?.shape;
    if (shape === undefined || node.attributes.has("axes")) return node;
    const scales = this.initializers.get(node.inputs.at(2) ?? "")?.numbers() ?? [];
    const isScaled = scales.length > 0;
    const wanted = isScaled ? scales : this.#sizesOf(node.inputs.at(3) ?? "")?.dims;
    if (wanted?.length !== shape.length) return node;
    const isBatch = (axis: number): boolean => axis === 0 && shape[0] === BATCH && wanted[0] === this.#opened;
    const axes = shape.flatMap((dim, axis) => {
      const stays = wanted[axis] === (isScaled ? 1 : dim) || isBatch(axis);
      return stays && axis < shape.length - 1 ? [] : [axis];
    });
    const numbers = numbersIn(axes.map((axis) => wanted[axis]));
    if (numbers === undefined) return node;
    const value = tensorFrom(isScaled ? "float32" : "int64", [axes.length], numbers);
    const stored = this.constant(`${node.outputs[0]}/${isScaled ? "scales" : "sizes"}`, value);
    return withAttribute(
      { ...node, inputs: isScaled ? [x, "", stored] : [x, "", "", stored] },
      "axes",
      ints(axes),
    );
  }

  /** Computes the node's outputs now if they are known. */
  #folds(node: Node, types: readonly ValueType[]): boolean {
    if (node.outputs.some((output) => this.#outputs.has(output))) return false;
    const [output] = node.outputs;
    const inputs = node.inputs.map((name) => this.#sizesOf(name));
    const sizes = sizesOfNode(node, inputs, this.types.get(node.inputs.at(0) ?? "")?.shape);
    const [{ dtype }] = types;
    if (sizes !== undefined && (dtype === "int64" || dtype === "int32")) {
      const numbers = numbersOf(sizes);
      if (numbers !== undefined) {
        this.#store(output, tensorFrom(dtype, sizes.scalar ? [] : [numbers.length], numbers));
        return true;
      }
      this.#sizes.set(output, sizes);
    }
    const values = this.#constantOutputs(node, types);
    if (values === undefined) return false;
    node.outputs.forEach((name, i) => {
      if (name !== "") this.#storeComputed(name, values[i], node.inputs);
    });
    return true;
  }

  /** Stores what is computed from `inputs`; what Constant nodes alone make is named as such, unless it is a weight. */
  #storeComputed(name: string, value: Tensor, inputs: readonly string[]): void {
    const made = inputs.every(
      (input) => isConstantName(input) || this.initializers.get(input)?.dtype !== "float32",
    );
    const stored = made && value.dtype === "float32" && !this.#weights.has(name) ? constantName(name) : name;
    if (stored === name) this.#store(name, value);
    else this.#aliases.set(name, this.constant(stored, value));
  }

  #constantOutputs(node: Node, types: readonly ValueType[]): readonly Tensor[] | undefined {
    if (node.op === "Constant") return [constantOf(node)];
    const inputs = node.inputs.map((name) => this.initializers.get(name));
    const known = inputs.every((value, i) =>
      value === undefined ? node.inputs[i] === "" : isHostType(value.dtype),
    );
    if (!known || !isKnown(node)) return undefined;
    let size = 0;
    for (const { dtype, shape } of types) {
      const dims = shape?.filter((dim) => typeof dim === "number");
      if (dims === undefined || dims.length !== shape?.length || !isHostType(dtype)) return undefined;
      size += sizeOf(dims);
    }
    const given = inputs.reduce((sum, value) => sum + (value?.size ?? 0), 0);
    return size <= Math.max(FOLD_LIMIT, given) ? evaluateNode(node, inputs) : undefined;
  }

  /** A window's automatic padding as numbers, where the sizes are known. */
  #padded(node: Node): Node {
    const mode = getString(node, "auto_pad", "NOTSET");
    if (!node.attributes.has("auto_pad")) return node;
    if (mode === "NOTSET") return without(node, "auto_pad");
    const spatial = numbersIn(this.types.get(node.inputs[0])?.shape?.slice(2));
    if (spatial === undefined) return node;
    const kernel = node.op.startsWith("Conv")
      ? numbersIn(this.types.get(node.inputs[1])?.shape?.slice(2))
      : kernelShape(node);
    if (kernel === undefined) return node;
    const window = node.op === "ConvTranspose" ? transposedWindow : windowOf;
    const { padsBegin, padsEnd } = window(node, spatial, kernel);
    return withAttribute(without(node, "auto_pad", "output_shape"), "pads", ints([...padsBegin, ...padsEnd]));
  }

  /**
   * A pool without the padding behind its last window, where ceil_mode leaves another one out that would begin behind the
   * input: onnxruntime computes that, but infers shapes as if it were there, and refuses what comes after or fails in it.
   */
  #withoutUnreadPads(node: Node): Node {
    if (getInt(node, "ceil_mode", 0) === 0) return node;
    const spatial = numbersIn(this.types.get(node.inputs[0])?.shape?.slice(2));
    if (spatial === undefined) return node;
    const window = windowOf(node, spatial, kernelShape(node));
    const { kernel, strides, dilations, padsBegin, padsEnd, outputs } = window;
    const ends = outputs.map((count, i) => {
      const reach = (count - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1;
      return Math.min(padsEnd[i], reach - padsBegin[i] - spatial[i]);
    });
    // Windows that are further apart than they are long may leave out elements, which pads can't say.
    if (ends.some((end) => end < 0) || ends.every((end, i) => end === padsEnd[i])) return node;
    return withAttribute(node, "pads", ints([...padsBegin, ...ends]));
  }

  #inputType(node: Node, name: string): ValueType | undefined {
    const type = this.types.get(name);
    if (name !== "" && type === undefined) {
      throw new InputError(`node "${node.name}" (${node.op}): nothing before it makes its input "${name}"`);
    }
    return type;
  }

  constantOf(name: string): Tensor | undefined {
    return this.initializers.get(name);
  }

  #sizesOf(name: string): Sizes | undefined {
    const value = this.initializers.get(name);
    return value === undefined ? this.#sizes.get(name) : sizesOfTensor(value);
  }

  #store(name: string, value: Tensor): void {
    this.initializers.set(name, value);
    this.types.set(name, { dtype: value.dtype, shape: value.dims });
  }
}

function declaredTypes(graph: Graph): Map<string, ValueType> {
  const declared = new Map(graph.valueTypes);
  for (const { name, type } of graph.outputs) if (type !== undefined) declared.set(name, type);
  return declared;
}

/** What the file declares fills in what inference can't know. */
function refined(inferred: ValueType, declared: ValueType | undefined): ValueType {
  const shape = declared?.shape;
  if (shape === undefined) return inferred;
  if (inferred.shape === undefined) return { dtype: inferred.dtype, shape };
  if (inferred.shape.length !== shape.length) return inferred;
  return { dtype: inferred.dtype, shape: inferred.shape.map((dim, axis) => dim ?? shape[axis]) };
}

function numbersIn(dims: readonly Dim[] | undefined): readonly number[] | undefined {
  const numbers = dims?.filter((dim) => typeof dim === "number");
  return numbers?.length === dims?.length ? numbers : undefined;
}
