/** Turns a model into a {@link Program}: layers in the order of the graph, with all that can go into them, in integers where it is quantized. */

import { normalizationFor } from "../data/normalization.js";
import { InputError, KofnError } from "../errors.js";
import { inferGraph } from "../onnx/infer.js";
import { describeNode, fail, formatShape, normalizeAxis } from "../onnx/infer/support.js";
import { type Graph, getInt, type Model, type Node, OPSET, type ValueType } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { checkQuantization } from "../integers/check.js";
import { byTensor } from "../integers/integer-results.js";
import type { Quantization, QuantizedActivation, QuantizedWeight } from "../quantize/types.js";
import { Readers, type WeightNode, weightNodes } from "../integers/weight-nodes.js";
import { recordedNormalization } from "../task/normalize.js";
import { activationOf, clampsNothing } from "./activation.js";
import { type Codes, codesOf, isSameCodes, isSign, sharedFixedPoint } from "./codes.js";
import {
  integerLinear,
  isStoredNorm,
  type LinearPart,
  normLinear,
  type Packing,
  plainLinear,
  rescalingOf,
} from "./linear.js";
import type { Activation, Linear, Pool, Program, Step, Value, Window } from "./program.js";
import { poolWindow } from "./window.js";

/** Operators that leave the elements where they are. */
const RESHAPES: ReadonlySet<string> = new Set([
  "Dropout",
  "Flatten",
  "Identity",
  "Reshape",
  "Squeeze",
  "Unsqueeze",
]);

/** Operators that never fall where their input rises: quantizing before them is quantizing behind them. */
const MONOTONE: ReadonlySet<string> = new Set([...RESHAPES, "Clip", "GlobalMaxPool", "MaxPool", "Relu"]);

/** Operators that C code and memory images have. */
const SUPPORTED =
  "Conv, Gemm and MatMul with stored weights, BatchNormalization, Relu, Clip, LeakyRelu, Add of two values, MaxPool, AveragePool, " +
  "GlobalMaxPool, GlobalAveragePool, ReduceMean over height and width, Concat of channels, Flatten, Reshape, and a last Softmax";

/**
 * The steps that a model takes for one sample.
 *
 * Layers multiply integers where their weights and what they read are quantized; with quantized weights alone they multiply codes by
 * floats. A value that is quantized for the layers that read it has its codes for all that read it, and the codes of a value go back
 * through pools and clamps to the layer that makes it. Batch normalisation goes into the layer before it.
 *
 * @param model in operator set 21, its activations not quantized; it is not changed.
 * @param packing how the weights of a layer are stored.
 * @throws InputError naming the node, if an operator or a form of it is not supported.
 * @example
 * const program = lowerProgram(model, { weights: [], activations: [] }, smallestPacking());
 */
export function lowerProgram(model: Model, quantization: Quantization, packing: Packing): Program {
  if (model.opsets.get("") !== OPSET) {
    throw new InputError(
      `model "${model.graph.name}": expected operator set ${OPSET}, got ${model.opsets.get("") ?? "none"}. Import it first.`,
    );
  }
  checkQuantization(model, quantization);
  return new Lowering(model, quantization, packing).program();
}

/** Where a value of the graph is to be found. */
interface Place {
  float?: Value;
  codes?: Value;
  /** As layers read it, where that is neither of the others. */
  layer?: Value;
}

class Lowering {
  readonly #model: Model;
  readonly #graph: Graph;
  readonly #packing: Packing;
  readonly #readers: Readers;
  readonly #types: ReadonlyMap<string, ValueType>;
  readonly #layers: ReadonlyMap<Node, WeightNode>;
  readonly #weights: ReadonlyMap<string, QuantizedWeight>;
  readonly #read: ReadonlyMap<string, QuantizedActivation>;
  readonly #results: ReadonlyMap<string, QuantizedActivation>;
  readonly #places = new Map<string, Place>();
  readonly #codes = new Map<string, Codes | undefined>();
  readonly #takenIn = new Set<Node>();
  readonly #steps: Step[] = [];
  /** Values that must stay what they are: the input, and those that several names of the graph stand for. */
  readonly #shared = new Set<Value>();
  readonly #input: Value;

  constructor(model: Model, { weights, activations }: Quantization, packing: Packing) {
    this.#model = model;
    this.#graph = singleSample(model);
    this.#packing = packing;
    this.#readers = new Readers(this.#graph);
    this.#types = inferGraph(this.#graph);
    this.#layers = new Map(weightNodes(this.#graph, this.#readers).map((one) => [one.node, one]));
    this.#weights = new Map(weights.map((weight) => [weight.weight, weight]));
    const { quantized, results } = byTensor(activations);
    this.#read = quantized;
    this.#results = results;
    const [{ name }] = this.#graph.inputs.filter((input) => !this.#graph.initializers.has(input.name));
    this.#input = { name, size: sizeOf(this.#dims(name, "the model's input")) };
    this.#shared.add(this.#input);
  }

  program(): Program {
    const value = this.#input;
    const [output] = this.#graph.outputs;
    this.#settle(value.name, value);
    const omitted = this.#omitted(output.name);
    for (const node of this.#graph.nodes) {
      if (node !== omitted && !this.#takenIn.has(node)) this.#lower(node);
    }
    const last = omitted?.inputs[0] ?? output.name;
    let result = this.#float(last);
    if (result === value) result = this.#map(value, { name: last, size: value.size });
    const inputDims = this.#dims(value.name, "the model's input");
    const recorded = recordedNormalization(this.#model);
    const channels = inputDims.length === 3 ? inputDims[0] : 1;
    const normalization = recorded && normalizationFor(recorded, channels);
    return {
      input: value,
      output: result,
      inputDims,
      outputDims: this.#dims(last, "the model's output"),
      steps: this.#steps,
      ...(omitted === undefined ? {} : { omitted: omitted.op as "Softmax" | "LogSoftmax" }),
      ...(normalization === undefined ? {} : { normalization }),
    };
  }

  /** The Softmax at the end, whose input has the same order as its output. */
  #omitted(output: string): Node | undefined {
    const last = this.#graph.nodes.find(({ outputs }) => outputs[0] === output);
    return last?.op === "Softmax" || last?.op === "LogSoftmax" ? last : undefined;
  }

  #lower(node: Node): void {
    if (node.domain !== "")
      fail(node, `operators of domain "${node.domain}" have no form in C and memory images`);
    const layer = this.#layers.get(node);
    if (layer !== undefined) this.#linear(layer);
    else if (RESHAPES.has(node.op)) this.#reshape(node);
    else if (node.op === "BatchNormalization") this.#norm(node);
    else if (node.op === "Relu" || node.op === "Clip" || node.op === "LeakyRelu") this.#activation(node);
    else if (node.op === "Add") this.#add(node);
    else if (node.op === "Concat") this.#concat(node);
    else {
      const pool = poolWindow(this.#graph, node, this.#dims(node.inputs[0], describeNode(node)));
      if (pool === undefined) fail(node, `it has no form in C and memory images, which have ${SUPPORTED}.`);
      this.#pool(node, pool.kind, pool.window, pool.countsPadding);
    }
  }

  /** The dimensions of a value without the batch. */
  #dims(name: string, where: string): number[] {
    const shape = this.#types.get(name)?.shape;
    const [batch, ...dims] = shape ?? [];
    if (batch !== 1 || !dims.every((dim) => typeof dim === "number")) {
      throw new InputError(
        `${where}: "${name}" is ${formatShape(shape)} for a batch of 1, and C and memory images need known sizes behind a batch of 1.`,
      );
    }
    return dims;
  }

  #size(name: string, node: Node): number {
    return sizeOf(this.#dims(name, describeNode(node)));
  }

  /** The codes in which a value is made. */
  #codesOf(name: string): Codes | undefined {
    if (!this.#codes.has(name)) this.#codes.set(name, this.#findCodes(name));
    return this.#codes.get(name);
  }

  #findCodes(name: string): Codes | undefined {
    if (this.#readers.isOutput(name)) return undefined;
    const read = this.#read.get(name);
    // Two values are enough for the layers that were trained so, but not for others.
    const isForAll =
      read?.format !== "binary" || this.#readers.of(name).every((node) => this.#isLayer(node, name));
    if (read !== undefined && isForAll) return codesOf(read);
    const reader = this.#readers.only(name);
    if (reader !== undefined && MONOTONE.has(reader.op) && reader.inputs[0] === name) {
      const behind = this.#codesOf(reader.outputs[0]);
      const isClamped = reader.op === "Relu" || reader.op === "Clip";
      if (behind !== undefined && !(isClamped && isSign(behind))) return behind;
    }
    const result = this.#results.get(name);
    return result === undefined ? undefined : codesOf(result);
  }

  #isLayer(node: Node, value: string): boolean {
    return this.#layers.has(node) && node.inputs[0] === value;
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (place !== undefined) return place;
    throw new InputError(
      `model "${this.#graph.name}": the value "${name}" is stored in the model or computed from constants, where C and memory images take only weights.`,
    );
  }

  /** A new value of the graph, as codes if it has such. */
  #made(name: string, node: Node, isFloat = false): Value {
    const codes = isFloat ? undefined : this.#codesOf(name);
    const value = { name, size: this.#size(name, node), ...(codes === undefined ? {} : { codes }) };
    this.#places.set(name, codes === undefined ? { float: value } : { codes: value });
    return value;
  }

  /** Records a value of the graph, and brings it to the codes that it is to have. */
  #settle(name: string, value: Value): void {
    const wanted = this.#codesOf(name);
    const place: Place = value.codes === undefined ? { float: value } : { codes: value };
    this.#places.set(name, place);
    if (wanted !== undefined) place.codes = this.#recoded(value, wanted);
  }

  #map(input: Value, output: Value, activation: Activation = { kind: "none" }): Value {
    this.#steps.push({ op: "map", input, output, activation });
    return output;
  }

  /** A value with other codes. */
  #recoded(value: Value, codes: Codes): Value {
    if (isSameCodes(value.codes, codes)) return value;
    const { name, size } = value;
    const output = { name, size, codes };
    if (value.codes === undefined) return this.#map(value, output);
    if (codes.threshold !== undefined) return this.#map(this.#map(value, { name, size }), output);
    const factors = sharedFixedPoint([value.codes.scale / codes.scale]);
    this.#steps.push({ op: "sum", inputs: [value], output, ...factors, activation: { kind: "none" } });
    return output;
  }

  /** A value as float32. */
  #float(name: string): Value {
    const place = this.#place(name);
    if (place.float === undefined) {
      const value = this.#any(name);
      place.float = this.#map(value, { name, size: value.size });
    }
    return place.float;
  }

  /** A value as codes if it was made so, else as float32. */
  #any(name: string): Value {
    const { codes, float } = this.#place(name);
    const value = codes ?? float;
    if (value === undefined) throw new KofnError(`the value "${name}" has no place`);
    return value;
  }

  /** A value as a layer reads it: as codes if it is quantized. */
  #forLayer(name: string): Value {
    const place = this.#place(name);
    const read = this.#read.get(name);
    const value = this.#any(name);
    if (read === undefined || isSameCodes(value.codes, codesOf(read))) return value;
    place.layer ??= this.#recoded(value, codesOf(read));
    return place.layer;
  }

  /** The activation function that alone reads a value; the node goes into the one that makes the value. */
  #takeActivation(value: string, isAllowed: (activation: Activation) => boolean): [Activation, string] {
    const reader = this.#readers.only(value);
    const activation =
      reader?.inputs[0] === value && reader.domain === "" ? activationOf(this.#graph, reader) : undefined;
    if (reader === undefined || activation === undefined || !isAllowed(activation)) {
      return [{ kind: "none" }, value];
    }
    this.#takenIn.add(reader);
    return [activation, reader.outputs[0]];
  }

  #linear(one: WeightNode): void {
    const { node, layer, add } = one;
    const [name] = node.inputs;
    const weight = this.#weights.get(layer.weight);
    let input = this.#forLayer(name);
    if (weight === undefined && input.codes !== undefined) {
      input = this.#map(input, { name, size: input.size });
    }
    let value = node.outputs[0];
    if (add !== undefined) {
      this.#takenIn.add(add);
      value = add.outputs[0];
    }
    const next = this.#readers.only(value);
    const norm = next?.inputs[0] === value && isStoredNorm(this.#graph, next) ? next : undefined;
    if (norm !== undefined) {
      this.#takenIn.add(norm);
      value = norm.outputs[0];
    }
    const isInteger = input.codes !== undefined;
    const [activation, result] = this.#takeActivation(value, ({ kind }) => !(isInteger && kind === "leaky"));
    // A slope goes on floats, which are quantized behind it.
    const isLeaky = isInteger && this.#readers.only(result)?.op === "LeakyRelu";
    const output = this.#made(result, node, isLeaky);
    const context = { graph: this.#graph, one, norm, dims: this.#dims(name, describeNode(node)) };
    const part: LinearPart =
      weight === undefined
        ? plainLinear(context, this.#packing)
        : integerLinear(context, weight, input.codes, output.codes, this.#packing);
    this.#steps.push({ ...part, input, output, activation } satisfies Linear);
  }

  /** Batch normalisation that can't go into a layer: a convolution of each channel with one weight. */
  #norm(node: Node): void {
    if (!isStoredNorm(this.#graph, node))
      fail(node, "its statistics are not stored, or it normalises by those of the batch");
    const input = this.#float(node.inputs[0]);
    const [activation, result] = this.#takeActivation(node.outputs[0], () => true);
    const output = this.#made(result, node);
    const part = normLinear(this.#graph, node, this.#dims(node.inputs[0], describeNode(node)));
    this.#steps.push({ ...part, input, output, activation });
  }

  #reshape(node: Node): void {
    // The batch must stay what it is.
    this.#dims(node.outputs[0], describeNode(node));
    this.#rename(node, this.#any(node.inputs[0]));
  }

  /** Lets a node's result be what it reads. */
  #rename(node: Node, value: Value): void {
    if (this.#readers.only(node.inputs[0]) !== node) this.#shared.add(value);
    this.#settle(node.outputs[0], value);
  }

  #activation(node: Node): void {
    const activation = activationOf(this.#graph, node);
    if (activation === undefined) fail(node, "its bounds are not stored in the model");
    const [name] = node.inputs;
    const [result] = node.outputs;
    const before = this.#any(name);
    const isClamp = before.codes !== undefined && activation.kind !== "leaky" && !isSign(before.codes);
    const input = isClamp ? before : this.#float(name);
    if (input.codes !== undefined && clampsNothing(activation, input.codes)) {
      this.#rename(node, input);
      return;
    }
    const codes = input.codes ?? this.#codesOf(result);
    const isOwn = this.#readers.only(name) === node && !this.#shared.has(input);
    const output =
      isOwn && isSameCodes(input.codes, codes)
        ? input
        : { name: result, size: input.size, ...(codes === undefined ? {} : { codes }) };
    this.#settle(result, this.#map(input, output, activation));
  }

  #add(node: Node): void {
    const [left, right] = node.inputs;
    const stored = node.inputs.find((input) => this.#graph.initializers.has(input));
    if (stored !== undefined) {
      fail(
        node,
        `it adds the stored "${stored}", where C and memory images add two values, or the bias of a MatMul`,
      );
    }
    const [a, b] = [left, right].map((name) => this.#dims(name, describeNode(node)));
    if (a.join() !== b.join()) {
      fail(
        node,
        `it adds ${formatShape(a)} and ${formatShape(b)}, where C and memory images add equal shapes`,
      );
    }
    const isInteger = node.inputs.every((name) => this.#place(name).codes !== undefined);
    const [activation, result] = this.#takeActivation(
      node.outputs[0],
      ({ kind }) => !(isInteger && kind === "leaky"),
    );
    const isLeaky = isInteger && this.#readers.only(result)?.op === "LeakyRelu";
    const codes = isLeaky ? undefined : this.#codesOf(result);
    const isExact = isInteger && codes !== undefined && codes.threshold === undefined;
    const inputs = node.inputs.map((name) => (isExact ? this.#any(name) : this.#float(name)));
    const output = this.#made(result, node, isLeaky);
    const factors = codes === undefined ? [] : inputs.map((input) => (input.codes?.scale ?? 1) / codes.scale);
    this.#steps.push({
      op: "sum",
      inputs,
      output,
      ...(isExact ? sharedFixedPoint(factors) : {}),
      activation,
    });
  }

  #concat(node: Node): void {
    const dims = this.#dims(node.outputs[0], describeNode(node));
    const axis = normalizeAxis(node, getInt(node, "axis", 1), dims.length + 1);
    if (axis !== 1) fail(node, `it joins axis ${axis}, where C and memory images join channels (axis 1)`);
    const output = this.#made(node.outputs[0], node);
    const { codes } = output;
    const inputs = node.inputs.map((name) =>
      codes === undefined ? this.#float(name) : this.#recoded(this.#any(name), codes),
    );
    this.#steps.push({ op: "concat", inputs, output });
  }

  #pool(node: Node, kind: Pool["kind"], window: Window, countsPadding: boolean): void {
    const [name] = node.inputs;
    const [result] = node.outputs;
    const before = this.#any(name);
    if (kind === "max") {
      const { codes } = before;
      const output = {
        name: result,
        size: this.#size(result, node),
        ...(codes === undefined ? {} : { codes }),
      };
      this.#steps.push({ op: "pool", kind, input: before, output, window, countsPadding });
      this.#settle(result, output);
      return;
    }
    const codes = this.#codesOf(result);
    const isConstant = countsPadding || isInside(window);
    const cells = window.kernelHeight * window.kernelWidth;
    const isInteger = before.codes !== undefined && isConstant && codes?.threshold === undefined;
    const input = isInteger ? before : this.#float(name);
    const output = this.#made(result, node);
    const scale = input.codes === undefined ? undefined : input.codes.scale / cells;
    const integer =
      scale === undefined
        ? {}
        : output.codes === undefined
          ? { scale: Math.fround(scale) }
          : { rescaling: rescalingOf([scale / output.codes.scale]) };
    this.#steps.push({ op: "pool", kind, input, output, window, countsPadding, ...integer });
  }
}

/** Whether no window reaches beyond the image. */
function isInside(window: Window): boolean {
  const {
    height,
    width,
    outHeight,
    outWidth,
    kernelHeight,
    kernelWidth,
    strideY,
    strideX,
    dilationY,
    dilationX,
  } = window;
  return (
    window.padY === 0 &&
    window.padX === 0 &&
    (outHeight - 1) * strideY + (kernelHeight - 1) * dilationY < height &&
    (outWidth - 1) * strideX + (kernelWidth - 1) * dilationX < width
  );
}

/** The model's graph for a batch of one. */
function singleSample({ graph }: Model): Graph {
  const inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  if (inputs.length !== 1 || graph.outputs.length !== 1) {
    const names = (values: Graph["inputs"]): string => values.map(({ name }) => name).join(", ");
    throw new InputError(
      `model "${graph.name}": C and memory images take one input and one output, and it has the inputs ${names(inputs)} and the outputs ${names(graph.outputs)}.`,
    );
  }
  const [{ name, type }] = inputs;
  if (type?.dtype !== "float32" || type.shape === undefined) {
    throw new InputError(
      `model "${graph.name}": expected an input of float32 and known shape, but "${name}" is ${type === undefined ? "no tensor" : `${type.dtype} ${formatShape(type.shape)}`}.`,
    );
  }
  const single = { name, type: { dtype: type.dtype, shape: [1, ...type.shape.slice(1)] } };
  const untyped = graph.outputs.map((output) => ({ ...output, type: undefined }));
  return {
    ...graph,
    inputs: graph.inputs.map((input) => (input.name === name ? single : input)),
    outputs: untyped,
    valueTypes: new Map(),
  };
}
