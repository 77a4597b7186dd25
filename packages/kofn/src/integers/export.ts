/** Writes a quantized model as ONNX that stock onnxruntime runs: weights in few bits, integer kernels where activations allow it. */

import { InputError } from "../errors.js";
import { int, type Model, type Node, OPSET } from "../onnx/model.js";
import { removeDeadCode } from "../onnx/passes.js";
import { tensor, tensorFrom } from "../onnx/tensor.js";
import { addActivation } from "./activation-nodes.js";
import { Assembly } from "../onnx/assembly.js";
import { checkQuantization } from "./check.js";
import { addCodes } from "./expand.js";
import { type ExportPlan, type IntegerNode, planExport } from "./export-plan.js";
import { affineOf, integerAffine } from "./integer-affine.js";
import { isInteger } from "./integer-results.js";
import type { Quantization, QuantizedActivation, QuantizedWeight } from "../quantize/types.js";
import type { WeightNode } from "./weight-nodes.js";

/** What a node that applies a weight computes with. */
export type LayerKernel = { readonly layer: string } & (
  | {
      /** The node multiplies integers: the name of its weight's codes. */
      readonly codes: string;
    }
  | {
      /** The node multiplies floats: why. */
      readonly reason: string;
    }
);

export interface QuantizedExport {
  readonly model: Model;
  /** One for each node that applies a weight, in the order of the graph. */
  readonly kernels: readonly LayerKernel[];
}

/**
 * The model with quantized weights stored as integers, and activations quantized where they are listed.
 *
 * - Weights of 8 bits are an int8 tensor, of 4 bits an int4 tensor (operator set 21), all others planes of bits. Nodes that
 *   depend on constants alone expand them, which onnxruntime does once, at load.
 * - Where a layer reads quantized activations, and its result is quantized too or it is a matrix product, weight,
 *   activations and bias go into the node through DequantizeLinear: the weight per output channel, the bias as int32 with
 *   scale s_x * s_w. onnxruntime makes integer kernels of that. Batch normalisation behind a convolution goes into its
 *   scales.
 * - All other layers get their weight as float32, scale times code, and run as fast as before. (onnxruntime does not fold
 *   DequantizeLinear at load; it would be computed in every run.) Where such a layer lies between quantized values, a Max before it
 *   keeps onnxruntime from rounding its weights to int8.
 *
 * @param model in operator set 21, masked, without quantized activations; it is not changed, and other tensors are shared with it.
 * @throws InputError if the quantization does not belong to the model.
 * @example
 * const { model } = exportQuantized(run.model, quantization);
 * await saveModel(model, "model.quantized.onnx");
 */
export function exportQuantized(model: Model, quantization: Quantization): QuantizedExport {
  const { graph } = model;
  if (model.opsets.get("") !== OPSET) {
    throw new InputError(
      `model "${graph.name}": expected operator set ${OPSET}, got ${model.opsets.get("") ?? "none"}. Import it first.`,
    );
  }
  checkQuantization(model, quantization);
  const writer = new Writer(model, quantization);
  for (const { name } of graph.inputs) writer.placePairs(name);
  for (const node of graph.nodes) writer.write(node);
  const exported = { ...graph, ...writer.written(), valueTypes: new Map() };
  removeDeadCode(exported);
  return { model: { ...model, graph: exported }, kernels: writer.kernels };
}

/** A value after quantization, as it is read by layers and by all else. */
interface Quantized {
  readonly byLayers: string;
  readonly byOthers: string;
  /** How layers read it. */
  readonly read: QuantizedActivation | undefined;
  /** What that is the quantization of. */
  readonly source: string;
  /** Whether a node that multiplies integers reads it already. */
  hasReader: boolean;
}

class Writer {
  readonly kernels: LayerKernel[] = [];
  readonly #plan: ExportPlan;
  readonly #model: Model;
  readonly #weights: ReadonlyMap<string, QuantizedWeight>;
  readonly #assembly: Assembly;
  readonly #quantized = new Map<string, Quantized>();
  /** Weights that were written as float32 already. */
  readonly #floats = new Map<string, string>();

  constructor(model: Model, quantization: Quantization) {
    this.#plan = planExport(model.graph, quantization);
    this.#model = model;
    this.#weights = new Map(quantization.weights.map((weight) => [weight.weight, weight]));
    this.#assembly = new Assembly(model.graph);
  }

  written(): Pick<Assembly, "nodes" | "initializers"> {
    const { nodes, initializers } = this.#assembly;
    return { nodes, initializers };
  }

  write(node: Node): void {
    if (this.#plan.takenIn.has(node)) return;
    const one = this.#plan.nodes.get(node);
    const integer = this.#plan.integers.get(node);
    const inputs = node.inputs.map((input) => this.#quantized.get(input)?.byOthers ?? input);
    const outputs = integer === undefined ? node.outputs : [integer.output];
    if (one !== undefined) {
      inputs[0] = this.#quantized.get(node.inputs[0])?.byLayers ?? inputs[0];
      const weight = this.#weights.get(one.layer.weight);
      if (weight !== undefined && integer !== undefined) {
        const value = this.#readByInteger(node.inputs[0]);
        this.#writeInteger(one, weight, integer, value);
      } else {
        if (this.#plan.mistakable.has(node)) inputs[0] = this.#readByFloat(node.inputs[0]);
        if (weight !== undefined) inputs[1] = this.#floatWeight(weight, one.layer.dims);
        this.#assembly.nodes.push({ ...node, inputs });
        this.kernels.push({ layer: one.layer.name, reason: this.#plan.reasons.get(node) ?? "" });
      }
    } else if (node.op === "Relu" && this.#plan.products.has(node.inputs[0])) {
      this.#writeRelu(node);
    } else {
      this.#assembly.nodes.push({ ...node, inputs });
    }
    for (const output of outputs) this.placePairs(output);
  }

  /** Adds the quantization of a value that has just been made. */
  placePairs(value: string): void {
    const result = this.#plan.results.get(value);
    const read = this.#plan.quantized.get(value);
    if (result === undefined && read === undefined) return;
    const byOthers = result === undefined ? value : addActivation(this.#assembly, value, result);
    const isSame = read === undefined || (result !== undefined && isSameQuantization(read, result));
    this.#quantized.set(value, {
      byOthers,
      byLayers: isSame ? byOthers : addActivation(this.#assembly, byOthers, read),
      read: isSame ? result : read,
      source: isSame ? value : byOthers,
      hasReader: false,
    });
  }

  /**
   * What the next node that multiplies integers, or could, reads of a value. Where int8 has several such readers, each has a pair of its
   * own, with constants of its own, as onnxruntime would merge pairs of the same. On x86 it computes with uint8, and makes that of int8 where one
   * DequantizeLinear alone reads a QuantizeLinear.
   */
  #readByInteger(value: string): string {
    const quantized = this.#quantized.get(value);
    if (quantized === undefined) return value;
    const { byLayers, read, source, hasReader } = quantized;
    quantized.hasReader = true;
    return hasReader && read?.format === "int8" ? addActivation(this.#assembly, source, read) : byLayers;
  }

  /**
   * What a node that multiplies floats reads of a value where onnxruntime would take it to multiply integers, if it found
   * DequantizeLinear before it: the larger of the value and the least one that a code has, which is the value.
   */
  #readByFloat(value: string): string {
    const quantized = this.#readByInteger(value);
    const read = this.#quantized.get(value)?.read;
    if (read === undefined || !isInteger(read)) return quantized;
    const code = read.format === "int8" ? -128 : 0;
    const least = tensorFrom("float32", [], [read.scale * (code - read.zeroPoint)]);
    const inputs = [quantized, this.#assembly.constant(`${value}/least`, least)];
    return this.#assembly.add("Max", inputs, {}, `${value}/float`);
  }

  /** Writes a Relu as Max(x, 0): onnxruntime would rather compute Gemm and Relu in one pass than the Gemm in integers. */
  #writeRelu(relu: Node): void {
    const zero = this.#assembly.constant(`${relu.outputs[0]}/zero`, tensorFrom("float32", [], [0]));
    this.#assembly.nodes.push({ ...relu, op: "Max", inputs: [...relu.inputs, zero] });
  }

  #writeInteger(
    { layer, node, norm }: WeightNode,
    weight: QuantizedWeight,
    { input, bias, output }: IntegerNode,
    value: string,
  ): void {
    const { axis } = weight;
    const affine = affineOf(this.#model.graph, weight, layer.dims, bias, norm);
    const integers = integerAffine(affine, input.scale, layer.dims, axis);
    const codes = addCodes(this.#assembly, layer.weight, layer.dims, integers.codes, "int8");
    const inputs = [value, this.#dequantized(layer.weight, codes, "int8", integers.scale, axis)];
    if (integers.bias !== undefined) {
      const name = `${layer.weight}/bias`;
      const codes = this.#assembly.constant(name, tensor("int32", [integers.bias.length], integers.bias));
      const scale = integers.scale.map((one) => one * input.scale);
      inputs.push(this.#dequantized(name, codes, "int32", scale, 0));
    }
    const isProduct = node.op === "MatMul" && integers.bias !== undefined;
    this.#assembly.nodes.push({
      ...node,
      ...(isProduct ? { op: "Gemm", attributes: new Map() } : {}),
      inputs,
      outputs: [output],
    });
    this.kernels.push({ layer: layer.name, codes });
  }

  /** Adds scale times code per channel. onnxruntime's integer kernels of matrices demand that zero points are there. */
  #dequantized(
    name: string,
    codes: string,
    dtype: "int8" | "int32",
    scale: Float32Array,
    axis: number,
  ): string {
    const dims = [scale.length];
    const zeros = tensorFrom(dtype, dims, new Int8Array(scale.length));
    const inputs = [
      codes,
      this.#assembly.constant(`${name}/scale`, tensor("float32", dims, scale)),
      this.#assembly.constant(`${name}/zero_point`, zeros),
    ];
    return this.#assembly.add("DequantizeLinear", inputs, { axis: int(axis) }, `${name}/dequantized`);
  }

  #floatWeight({ weight, scale, axis, codes }: QuantizedWeight, dims: readonly number[]): string {
    const known = this.#floats.get(weight);
    if (known !== undefined) return known;
    const factors = tensor(
      "float32",
      dims.map((dim, i) => (i === axis ? dim : 1)),
      scale,
    );
    const inputs = [
      addCodes(this.#assembly, weight, dims, codes, "float32"),
      this.#assembly.constant(`${weight}/scale`, factors),
    ];
    const made = this.#assembly.add("Mul", inputs, {}, `${weight}/expanded`);
    this.#floats.set(weight, made);
    return made;
  }
}

function isSameQuantization(a: QuantizedActivation, b: QuantizedActivation): boolean {
  return a.format === b.format && a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}
