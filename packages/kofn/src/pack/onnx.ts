/**
 * Packs a model as ONNX: values and positions as small constants, with standard operators that make the weights of them.
 * These depend on constants alone, so onnxruntime computes them once, when it loads the model, and then runs the model as if it
 * were dense.
 */

import { bytesOf, widthOf } from "@kofn/format/file/bits.js";
import {
  gather,
  keptIndices,
  type PackedMask,
  unitMatrix,
  type UnitMatrix,
} from "@kofn/format/file/units.js";
import { encodeModelBytes } from "../onnx/codec.js";
import { DATA_TYPES } from "../onnx/dtype.js";
import { type Graph, int, ints, type Model } from "../onnx/model.js";
import { Tensor, tensor, tensorFrom } from "../onnx/tensor.js";
import { Assembly } from "../onnx/assembly.js";
import { bitsFor, offsetOf } from "../integers/bit-planes.js";
import { addCodes, addDigits } from "../integers/expand.js";
import type { QuantizedWeight } from "../quantize/types.js";
import { largestCode } from "../quantize/weights.js";
import { modelOfKofn } from "./file.js";
import { fromHalves, toHalves } from "./float16.js";
import { indicesOf } from "./positions.js";
import { shortNames } from "./short-names.js";
import type { KofnContents, PackOptions } from "./types.js";

/** A node and its constants take about as many bytes: smaller tensors are not worth a Cast. */
const CAST_BYTES = 80;
/** Indices of groups of more units are not stored: the group is coded as a bitmap. */
const MOST_INDEX_BITS = 16;

/** How the weights of a layer are stored. */
export interface PackedWeight {
  readonly weight: string;
  readonly positions: "bitmap" | "indices" | "none";
  readonly kept: number;
  /** Of values, positions and scales. */
  readonly bytes: number;
}

export interface PackedOnnx {
  readonly model: Model;
  /** What the file takes: the bytes of values, positions and scales by their formulas, and those of the graph without them. */
  readonly predictedBytes: number;
  readonly weights: readonly PackedWeight[];
  /** By how much a weight or bias differs at most from the model's: 0 unless float16 was asked for. */
  readonly largestError: number;
}

/**
 * The model with its weights packed, for stock onnxruntime.
 *
 * Positions are a bitmap, or indices of as few bits as they need within groups of the same k, whichever is smaller or asked for.
 * Codes take as many bits as they need: 1 of binary weights, 2 of ternary ones.
 *
 * @param contents of the model; it is not changed, and tensors that are not packed are shared with it.
 * @example
 * await saveModel(packOnnx(await runContents(await readRun("runs/a"))).model, "packed.onnx");
 */
export function packOnnx(contents: KofnContents, options: PackOptions = {}): PackedOnnx {
  const whole = modelOfKofn(contents);
  const { graph } = whole;
  const quantized = new Map(contents.quantization.weights.map((one) => [one.weight, one]));
  const floats = [...graph.initializers].filter(([, { dtype }]) => dtype === "float32");
  const replaced = floats.filter(
    ([name, value]) =>
      contents.masks.has(name) ||
      quantized.has(name) ||
      (options.values === "float16" && 2 * value.size > CAST_BYTES),
  );
  const initializers = new Map(graph.initializers);
  for (const [name] of replaced) initializers.delete(name);
  const packer = new Packer(new Assembly({ ...graph, initializers }), options);
  for (const [name, value] of replaced) {
    const mask = contents.masks.get(name);
    const isDense = mask?.counts.every((count) => count === mask.layout.n) === true;
    packer.add(name, value as Tensor<"float32">, isDense ? undefined : mask, quantized.get(name));
  }
  const results = new Set(replaced.map(([name]) => name));
  const packed = shortNames(packer.assembly, results, new Set([...initializers.keys(), ...valuesOf(graph)]));
  const model: Model = {
    ...whole,
    graph: {
      ...graph,
      nodes: [...packed.nodes, ...graph.nodes],
      initializers: packed.initializers,
      valueTypes: new Map(),
    },
  };
  return {
    model,
    predictedBytes:
      graphBytes(model, initializers) +
      othersIn(initializers) +
      packer.weights.reduce((sum, { bytes }) => sum + bytes, 0),
    weights: packer.weights,
    largestError: packer.largestError,
  };
}

/** Names of the values of a graph that are no constants. */
function valuesOf(graph: Graph): string[] {
  return [...graph.inputs.map(({ name }) => name), ...graph.nodes.flatMap(({ outputs }) => outputs)];
}

/** Bytes of the tensors that stay as they are. */
function othersIn(initializers: ReadonlyMap<string, Tensor>): number {
  return [...initializers.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** Constants of the nodes that expand weights are no larger. */
const SMALL_BYTES = 64;

/** Bytes of a model without the elements of the tensors that are counted apart. */
function graphBytes(model: Model, others: ReadonlyMap<string, Tensor>): number {
  const initializers = new Map(model.graph.initializers);
  for (const [name, { dtype, bytes }] of initializers) {
    if (!others.has(name) && bytes.length <= SMALL_BYTES) continue;
    initializers.set(name, new Tensor(dtype, [0], new Uint8Array()));
  }
  return encodeModelBytes({ ...model, graph: { ...model.graph, initializers } }).length;
}

class Packer {
  readonly assembly: Assembly;
  readonly weights: PackedWeight[] = [];
  largestError = 0;
  readonly #options: PackOptions;

  constructor(assembly: Assembly, options: PackOptions) {
    this.assembly = assembly;
    this.#options = options;
  }

  /** Adds nodes that make a tensor of its packed form. */
  add(name: string, value: Tensor<"float32">, mask?: PackedMask, quantized?: QuantizedWeight): void {
    const { dims, size } = value;
    const matrix = mask === undefined ? undefined : unitMatrix(mask.layout, dims);
    const pruned = mask === undefined || matrix === undefined ? undefined : { mask, matrix, dims };
    const indices = pruned === undefined ? undefined : keptIndices(pruned.mask, dims);
    const kept = indices === undefined ? dims : [indices.length];
    const isLast = quantized === undefined;
    const stored = isLast
      ? this.#floats(
          name,
          kept,
          gathered(value.array(), indices),
          pruned === undefined ? { wanted: name } : {},
        )
      : this.#codes(name, kept, indices === undefined ? quantized.codes : gather(quantized.codes, indices));
    const positions = pruned === undefined ? undefined : this.#positions(pruned, `${name}/mask`);
    const made =
      pruned === undefined || positions === undefined
        ? stored.name
        : this.#expanded(name, isLast, pruned, stored.name, positions.name);
    const scales = quantized === undefined ? undefined : this.#scaled(name, made, dims, quantized);
    this.weights.push({
      weight: name,
      positions: positions?.codec ?? "none",
      kept: indices?.length ?? size,
      bytes: stored.bytes + (positions?.bytes ?? 0) + (scales?.bytes ?? 0),
    });
  }

  /**
   * Adds floats.
   *
   * @param wanted the name that they are to have.
   * @param factor by which an error of them becomes one of weights.
   */
  #floats(
    name: string,
    dims: readonly number[],
    values: Float32Array,
    { wanted, factor = 1 }: { readonly wanted?: string; readonly factor?: number } = {},
  ): Stored {
    const isHalved = this.#options.values === "float16";
    const halves = isHalved ? toHalves(values) : undefined;
    const rounded = halves === undefined ? values : fromHalves(halves);
    const fits = rounded.every((half, i) => Number.isFinite(half) || !Number.isFinite(values[i]));
    if (halves === undefined || !fits) {
      return {
        name: this.assembly.constant(wanted ?? `${name}/values`, tensor("float32", dims, values)),
        bytes: 4 * values.length,
      };
    }
    rounded.forEach((half, i) => {
      this.largestError = Math.max(this.largestError, factor * Math.abs(half - values[i]) || 0);
    });
    const bytes = new Uint8Array(halves.buffer);
    const stored = this.assembly.constant(`${name}/halves`, new Tensor("float16", dims, bytes));
    return {
      name: this.#cast(stored, "float32", wanted ?? `${name}/values`),
      bytes: bytes.length,
    };
  }

  #codes(name: string, dims: readonly number[], codes: Int8Array): Stored {
    const bits = bitsFor(codes);
    return {
      name: addCodes(this.assembly, name, dims, codes, "float32"),
      bytes: bits === 8 || bits === 4 ? bytesOf(bits * codes.length) : bits * bytesOf(codes.length),
    };
  }

  #positions({ mask, matrix }: Pruned, name: string): StoredPositions {
    const { layout, units, counts } = mask;
    const { groups } = matrix;
    const { n } = layout;
    const [k] = counts;
    const bitmapBytes = bytesOf(units.length);
    const width = widthOf(n);
    const isEven = width > 0 && width <= MOST_INDEX_BITS && k > 0 && counts.every((count) => count === k);
    const indexBytes = isEven ? fieldBytes(groups * k, width) : Infinity;
    const wanted = this.#options.positions ?? "auto";
    const isBitmap =
      !isEven || (wanted === "indices" ? false : wanted === "bitmap" || bitmapBytes <= indexBytes);
    if (isBitmap) {
      const bits = this.#fields(name, [units.length], units, 1);
      return { name: this.#cast(bits, "int32", `${name}/kept`), bytes: bitmapBytes, codec: "bitmap" };
    }
    const indices = this.#wide(name, [groups, k], indicesOf(units, counts), width);
    const filled = (value: number, dims: readonly number[]): string =>
      this.assembly.add("Expand", [this.#int(value), this.#shape(dims)], {}, `${name}/filled`);
    const inputs = [filled(0, [groups, n]), indices, filled(1, [groups, k])];
    const kept = this.assembly.add("ScatterElements", inputs, { axis: int(1) }, `${name}/kept`);
    return { name: kept, bytes: indexBytes, codec: "indices" };
  }

  /** Adds whole numbers of at least 0 and of up to 16 bits, as int32: 8 bits as bytes, what is more or less as planes of bits. */
  #wide(name: string, dims: readonly number[], numbers: Uint32Array, width: number): string {
    const low = this.#fields(`${name}/low`, dims, numbers, Math.min(8, width));
    const wide = this.#cast(low, "int32", `${name}/wide`);
    if (width <= 8) return wide;
    const rest = numbers.map((number) => number >> 8);
    const high = this.#cast(this.#fields(`${name}/high`, dims, rest, width - 8), "int32", `${name}/high`);
    const scaled = this.assembly.add("Mul", [high, this.#int(2 ** 8)], {}, `${name}/scaled`);
    return this.assembly.add("Add", [scaled, wide], {}, `${name}/indices`);
  }

  /** Adds the lowest bits of some numbers, as uint8. */
  #fields(name: string, dims: readonly number[], numbers: Uint8Array | Uint32Array, width: number): string {
    const bytes = Uint8Array.from(numbers);
    if (width === 8) return this.assembly.constant(name, tensor("uint8", dims, bytes));
    const offset = offsetOf(width);
    const codes = Int8Array.from(bytes, (byte) => (width === 1 ? 2 * byte - 1 : byte - offset));
    return addDigits(this.assembly, name, dims, codes, width);
  }

  /** Puts values where the mask keeps weights, and 0 elsewhere. */
  #expanded(
    name: string,
    isLast: boolean,
    { mask, matrix, dims }: Pruned,
    values: string,
    units: string,
  ): string {
    const { assembly } = this;
    const { share, span, transposed } = mask.layout;
    const { rows, fanIn, columns } = matrix;
    let kept = units;
    if (share > 1 || span > 1) {
      const apart = assembly.add(
        "Reshape",
        [kept, this.#shape([rows / share, 1, columns, 1])],
        {},
        `${name}/apart`,
      );
      kept = assembly.add(
        "Expand",
        [apart, this.#shape([rows / share, share, columns, span])],
        {},
        `${name}/spread`,
      );
    }
    const flat = assembly.add("Reshape", [kept, this.#shape([-1])], {}, `${name}/flat`);
    // Kept weights are numbered from 1 on; all others take number 0, which is 0.
    const counted = assembly.add("CumSum", [flat, this.#int(0)], {}, `${name}/counted`);
    const numbers = assembly.add("Mul", [counted, flat], {}, `${name}/numbers`);
    const zero = assembly.shared("zero", tensorFrom("float32", [1], [0]));
    const padded = assembly.add("Concat", [zero, values], { axis: int(0) }, `${name}/padded`);
    const found = assembly.add("Gather", [padded, numbers], {}, `${name}/found`);
    const result = isLast ? name : `${name}/expanded`;
    if (!transposed) return assembly.add("Reshape", [found, this.#shape(dims)], {}, result);
    const turned = assembly.add("Reshape", [found, this.#shape([rows, fanIn])], {}, `${name}/turned`);
    return assembly.add("Transpose", [turned], { perm: ints([1, 0]) }, result);
  }

  /** Scale times code, as the tensor itself. */
  #scaled(
    name: string,
    codes: string,
    dims: readonly number[],
    { scale, axis, format }: QuantizedWeight,
  ): Stored {
    const factors = dims.map((dim, i) => (i === axis ? dim : 1));
    const stored = this.#floats(`${name}/scale`, factors, scale, { factor: largestCode(format) });
    this.assembly.add("Mul", [codes, stored.name], {}, name);
    return stored;
  }

  #cast(value: string, to: "float32" | "int32" | "int64", name: string): string {
    return this.assembly.add("Cast", [value], { to: int(DATA_TYPES[to].code) }, name);
  }

  #shape(dims: readonly number[]): string {
    return this.assembly.shared("dims", tensorFrom("int64", [dims.length], dims));
  }

  #int(value: number): string {
    return this.assembly.shared("whole", tensorFrom("int32", [], [value]));
  }
}

/** A weight that a mask prunes. */
interface Pruned {
  readonly mask: PackedMask;
  readonly matrix: UnitMatrix;
  readonly dims: readonly number[];
}

/** Something that was stored: the name of the value that came of it, and its bytes by the formula. */
interface Stored {
  readonly name: string;
  readonly bytes: number;
}

interface StoredPositions extends Stored {
  readonly codec: "bitmap" | "indices";
}

/** Bytes of so many fields: whole bytes, and planes of bits for what is more or less than 8. */
function fieldBytes(count: number, width: number): number {
  return width < 8 ? width * bytesOf(count) : count + (width - 8) * bytesOf(count);
}

/** The floats at some indices, with all their bits. */
function gathered(values: Float32Array, indices: Uint32Array | undefined): Float32Array {
  if (indices === undefined) return values;
  const kept = gather(new Uint32Array(values.buffer, values.byteOffset, values.length), indices);
  return new Float32Array(kept.buffer);
}
