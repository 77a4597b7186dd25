/** Writes the weights of layers as memory images for $readmemh, with a description, and a test bench for layers of integers. */

import type { WeightFormat } from "@kofn/format/run/words.js";
import type { Quantization } from "../quantize/types.js";
import { bitsOf } from "../quantize/weights.js";
import { Random } from "../random.js";
import { VERSION } from "../version.js";
import { codeRange } from "./activation.js";
import { Identifiers } from "./c/names.js";
import { clamped, codeOf, type Codes } from "./codes.js";
import type { LayerImages, Memory, WordFormat } from "./layer-images.js";
import { balancedPlaces, indexWidth } from "./packing.js";
import type { Linear, Program } from "./program.js";
import { forEachKept } from "./rows.js";
import { benchText, LAYER_FILE, LAYER_VERILOG } from "./verilog.js";

export interface Images {
  /** Names and contents of all files. */
  readonly files: ReadonlyMap<string, string>;
  readonly layers: readonly LayerImages[];
}

/** Places of a convolution that its test bench computes. */
const POSITIONS = 4;

/**
 * The memory images of all layers of a program, whose rows are balanced (`imagePacking`).
 *
 * @example
 * writeImages(program, quantization, "lenet-300-100").files.get("fc1.values.mem");
 */
export function writeImages(program: Program, quantization: Quantization, title: string): Images {
  const formats = new Map(quantization.weights.map(({ weight, format }) => [weight, format]));
  const files = new Map<string, string>();
  const names = new Identifiers(["kofn_layer", "layers"]);
  const layers = program.steps
    .filter((step) => step.op === "linear")
    .map((step) => layerImages(step, formats.get(step.weight), names.take(step.layer), files));
  if (layers.some(({ test }) => test !== null)) files.set(LAYER_FILE, LAYER_VERILOG);
  const description = { kofn: VERSION, model: title, layers };
  files.set("layers.json", `${JSON.stringify(description, undefined, 2)}\n`);
  return { files, layers };
}

function layerImages(
  step: Linear,
  format: WeightFormat | undefined,
  name: string,
  files: Map<string, string>,
): LayerImages {
  const { weights, window, bias, rescaling, weightScale, rowsPerGroup } = step;
  const { rows, fanIn, values } = weights;
  const places = balancedPlaces(weights);
  const isDense = places.kind === "all";
  const { n, k, span, share } = isDense ? { n: fanIn, k: fanIn, span: 1, share: 1 } : places;
  const memory = (part: string, words: ArrayLike<number>, width: number): Memory => {
    const file = `${name}.${part}.mem`;
    files.set(file, hexLines(words, width));
    return { file, depth: words.length, width };
  };
  const isFloat = values instanceof Float32Array;
  const width = isFloat ? 32 : valueBits(values, format);
  const valueFormat: WordFormat = isFloat ? "float32" : width === 1 ? "sign" : "int";
  const words = isFloat
    ? floatBits(values)
    : width === 1
      ? values.map((value) => (value > 0 ? 1 : 0))
      : values;
  const kernel = window.kernelHeight * window.kernelWidth;
  const isImage = window.height * window.width * kernel > 1;
  const described = {
    name: step.layer,
    weight: step.weight,
    rows,
    fanIn,
    rowsPerSlice: rowsPerGroup,
    ...(isImage
      ? { kernel: { channels: window.channels, height: window.kernelHeight, width: window.kernelWidth } }
      : {}),
    entriesPerRow: values.length / rows,
    groups: fanIn / (n * span),
    n,
    k,
    span,
    share,
    filledUp: !isDense && places.filledUp === true,
    values: { ...memory("values", words, width), format: valueFormat },
    indices: isDense
      ? null
      : {
          ...memory("indices", places.indices, indexWidth(n)),
          of: span > 1 ? ("kernels" as const) : ("weights" as const),
        },
    bias:
      bias === undefined
        ? null
        : bias instanceof Float32Array
          ? { ...memory("bias", floatBits(bias), 32), format: "float32" as const }
          : { ...memory("bias", bias, 32), format: "int" as const },
    scale: weightScale === undefined ? null : Array.from(weightScale),
    input: step.input.codes ?? null,
    output: step.output.codes ?? null,
    range: step.output.codes === undefined ? null : codeRange(step.activation, step.output.codes),
    multipliers: rescaling === undefined ? null : memory("multipliers", rescaling.multipliers, 31),
    shifts: rescaling === undefined ? null : memory("shifts", rescaling.shifts, 6),
    bits: values.length * width + (isDense ? 0 : places.indices.length * indexWidth(n)),
  };
  if (isFloat || values.length === 0) return { ...described, test: null };
  const { input, expected, positions, compares } = testVectors(step, isImage ? POSITIONS : 1);
  const test = {
    bench: `tb_${name}.v`,
    input: memory("input", input, 8),
    expected: memory("expected", expected, compares === "codes" ? 8 : 32),
    positions,
    compares,
  };
  files.set(test.bench, benchText(described, test));
  return { ...described, test };
}

/** Bits of the words that hold codes: those of their format; 1 for binary ones of which none is 0. */
function valueBits(values: Int8Array, format: WeightFormat | undefined): number {
  const bits = format === undefined ? 8 : bitsOf(format);
  return bits === 1 && values.includes(0) ? 2 : bits;
}

function floatBits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.slice().buffer);
}

/** A word to a line, in two's complement. */
function hexLines(words: ArrayLike<number>, width: number): string {
  const digits = Math.ceil(width / 4);
  const lines = Array.from(words, (word) =>
    (word < 0 ? word + 2 ** width : word).toString(16).padStart(digits, "0"),
  );
  return `${lines.join("\n")}\n`;
}

/** What a layer reads where its input is float32: any codes will do. */
const ANY_CODES: Codes = { type: "int8", scale: 1, zero: 0, low: -128, high: 127 };

/** Random codes that a layer may read, place by place, and what it makes of them. */
function testVectors(
  step: Linear,
  positions: number,
): Pick<NonNullable<LayerImages["test"]>, "positions" | "compares"> & {
  readonly input: Int32Array;
  readonly expected: Int32Array;
} {
  const { weights, rescaling, activation, rowsPerGroup } = step;
  const { rows, fanIn } = weights;
  const { low, high, zero } = step.input.codes ?? ANY_CODES;
  const bias = step.bias instanceof Int32Array ? step.bias : undefined;
  const output = step.output.codes;
  const random = new Random(1, `images/${step.layer}`);
  const size = (rows / rowsPerGroup) * fanIn;
  const input = Int32Array.from({ length: positions * size }, () => low + random.below(high - low + 1));
  const expected = new Int32Array(positions * rows);
  for (let at = 0; at < expected.length; at++) {
    const row = at % rows;
    const start = Math.floor(at / rows) * size + Math.floor(row / rowsPerGroup) * fanIn;
    let sum = bias?.[row] ?? 0;
    forEachKept(weights, row, (position, i) => {
      sum += weights.values[i] * (input[start + position] - zero);
    });
    expected[at] = sum;
    if (rescaling === undefined || output === undefined) continue;
    const factor = { multiplier: rescaling.multipliers[row], shift: rescaling.shifts[row] };
    expected[at] = clamped(codeOf(sum, factor, output), ...codeRange(activation, output));
  }
  return { input, expected, positions, compares: rescaling === undefined ? "sums" : "codes" };
}
