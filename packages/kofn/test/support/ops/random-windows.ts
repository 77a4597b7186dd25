/** Random convolutions and pools, alone and one behind the other, drawn with fast-check. */

import fc from "fast-check";
import { InputError } from "../../../src/errors.js";
import { Builder } from "../../../src/onnx/builder.js";
import { tapsOf } from "../../../src/onnx/evaluate/taps.js";
import { windowOf } from "../../../src/onnx/infer/window.js";
import {
  type Attribute,
  emptyGraph,
  getInts,
  type Graph,
  int,
  ints,
  type Model,
  type Node,
  string,
} from "../../../src/onnx/model.js";
import { sizeOf, type Tensor, tensorFrom } from "../../../src/onnx/tensor.js";
import { Random } from "../../../src/random.js";
import { modelOf } from "../execute.js";

/** Elements of a tensor: more make the tests slow. */
const MOST_ELEMENTS = 10_000;

/** A window along one axis. */
interface Side {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly begin: number;
  readonly end: number;
  /** By how much the larger tensor is larger than the windows need; less than a stride is taken of it. */
  readonly rest: number;
}

interface Convolution {
  readonly op: "Conv" | "ConvTranspose";
  /** A case takes as many as it has axes. */
  readonly sides: readonly Side[];
  readonly group: number;
  /** In each group. */
  readonly channels: number;
  readonly maps: number;
  readonly bias: boolean;
  readonly autoPad: string;
}

interface Pool {
  readonly op: "MaxPool" | "AveragePool";
  readonly sides: readonly Side[];
  /** Strides are as long as the window, which has no gaps. */
  readonly sideBySide: boolean;
  /** The input's sizes are multiples of the window's. */
  readonly whole: boolean;
  readonly ceil: boolean;
  readonly countsPads: boolean;
  readonly columnMajor: boolean;
  readonly autoPad: string;
}

/** A convolution, a pool, or both, and the sizes of what is between them. */
export interface Recipe {
  readonly batch: number;
  /** Of a pool that no convolution stands before. */
  readonly channels: number;
  readonly sizes: readonly number[];
  readonly convolution: Convolution | undefined;
  readonly pool: Pool | undefined;
  readonly seed: number;
}

const pad = fc.constantFrom(0, 0, 1, 2, 3);
const sides = (kernel: number, stride: number, dilation: fc.Arbitrary<number>): fc.Arbitrary<Side[]> => {
  const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  const numbers = { kernel: upTo(kernel), stride: upTo(stride), dilation, begin: pad, end: pad, rest: pad };
  return fc.array(fc.record(numbers), { minLength: 3, maxLength: 3 });
};
const gaps = fc.constantFrom(1, 1, 1, 2, 3);
const autoPad = fc.constantFrom("NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER");

const convolution = fc.record<Convolution>({
  op: fc.constantFrom("Conv", "Conv", "ConvTranspose"),
  sides: sides(4, 4, gaps),
  group: fc.constantFrom(1, 1, 2, 3),
  channels: fc.constantFrom(1, 2, 3, 16),
  maps: fc.constantFrom(1, 2, 5, 16),
  bias: fc.boolean(),
  autoPad,
});

const pool = fc.record<Pool>({
  op: fc.constantFrom("MaxPool", "AveragePool"),
  sides: sides(4, 4, gaps),
  sideBySide: fc.boolean(),
  whole: fc.boolean(),
  ceil: fc.boolean(),
  countsPads: fc.boolean(),
  columnMajor: fc.boolean(),
  autoPad,
});

const size = fc.integer({ min: 1, max: 8 });
const batch = fc.constantFrom(1, 2, 16);
const any = fc.record<Recipe>({
  batch,
  channels: fc.integer({ min: 1, max: 3 }),
  sizes: fc.oneof(fc.tuple(size, size), fc.tuple(size, size), fc.tuple(size), fc.tuple(size, size, size)),
  convolution: fc.option(convolution, { nil: undefined }),
  pool: fc.option(pool, { nil: undefined }),
  seed: fc.nat(),
});

/** A first convolution and a max-pool whose windows lie side by side: what is rewritten by the places of a window. */
const first = fc
  .record({ recipe: any, convolution, pool, sides: sides(3, 2, fc.constant(1)) })
  .map(({ recipe, convolution, pool, sides }): Recipe => ({
    ...recipe,
    sizes: [recipe.sizes[0], recipe.sizes[1] ?? 4],
    convolution: { ...convolution, op: "Conv", sides, group: 1, channels: 1, maps: 5 },
    pool: { ...pool, op: "MaxPool", sideBySide: true, whole: true },
  }));

/** Recipes of models that are well formed, and in which each window of a pool sees an element of its input. */
export const recipes: fc.Arbitrary<Recipe> = fc
  .oneof({ weight: 2, arbitrary: any }, { weight: 1, arbitrary: first })
  .filter(isWellFormed);

/** Normal numbers that float32 holds, the same for the same name and recipe. */
export function valuesOf({ seed }: Recipe, name: string, dims: readonly number[]): Tensor<"float64"> {
  const random = new Random(seed, name);
  const values = Float32Array.from({ length: sizeOf(dims) }, () => random.normal());
  return tensorFrom("float64", dims, values);
}

/** The model of a recipe: input "x", initializers "w" and "bias" of a convolution, one output. */
export function windowModel(recipe: Recipe): Model {
  const { batch, channels, convolution, pool } = recipe;
  const rank = recipe.sizes.length;
  const sizes = recipe.sizes.map((size, i) => {
    const kernel = pool?.whole === true ? pool.sides[i].kernel : 1;
    return Math.ceil(size / kernel) * kernel;
  });
  const b = new Builder(emptyGraph("windows"));
  let y = "x";
  if (convolution === undefined) b.input("x", "float32", [batch, channels, ...sizes]);
  else {
    const { op, sides, group, maps, bias } = convolution;
    b.input("x", "float32", [batch, convolution.channels * group, ...convolved(convolution, sizes)]);
    const kernel = sides.slice(0, rank).map((side) => side.kernel);
    const w = op === "Conv" ? [maps * group, convolution.channels] : [convolution.channels * group, maps];
    const shapes = { w: [...w, ...kernel], ...(bias ? { bias: [maps * group] } : {}) };
    const parameters = Object.entries(shapes).map(([name, dims]) =>
      b.initializer(name, tensorFrom("float32", dims, valuesOf(recipe, name, dims).numbers())),
    );
    y = b.op(op, ["x", ...parameters], convolutionAttributes(convolution, rank), "y");
  }
  if (pool !== undefined) y = b.op(pool.op, [y], poolAttributes(pool, rank), "y");
  b.output(y);
  return modelOf(b.graph);
}

/** The sizes of a convolution's input, so that its output has the given ones if pads allow it; about that of a ConvTranspose. */
function convolved({ op, sides, autoPad }: Convolution, outputs: readonly number[]): number[] {
  return outputs.map((count, i) => {
    const { kernel, stride, dilation, begin, end, rest } = sides[i];
    if (op === "ConvTranspose") return Math.ceil(count / stride);
    const spare = rest % stride;
    if (autoPad.startsWith("SAME")) return count * stride - spare;
    const pads = autoPad === "NOTSET" ? begin + end : 0;
    return Math.max(1, (count - 1) * stride + (kernel - 1) * dilation + 1 + spare - pads);
  });
}

function convolutionAttributes(
  { op, sides, group, autoPad }: Convolution,
  rank: number,
): Record<string, Attribute> {
  const axes = sides.slice(0, rank);
  const isExplicit = autoPad === "NOTSET";
  // Where windows of a ConvTranspose are apart, onnxruntime's SAME gives less than the definition.
  const isClose = op === "ConvTranspose" && autoPad.startsWith("SAME");
  const strides = axes.map(({ stride, kernel }) => (isClose ? Math.min(stride, kernel) : stride));
  const extra = axes.map(({ rest, stride }) => rest % stride);
  return {
    strides: ints(strides),
    dilations: ints(axes.map(({ dilation }) => dilation)),
    group: int(group),
    auto_pad: string(autoPad),
    ...(isExplicit ? { pads: padsOf(axes) } : {}),
    ...(isExplicit && op === "ConvTranspose" ? { output_padding: ints(extra) } : {}),
  };
}

function poolAttributes(
  { op, sides, sideBySide, ceil, countsPads, columnMajor, autoPad }: Pool,
  rank: number,
): Record<string, Attribute> {
  // onnxruntime takes pads less than the kernel alone, and where ceil_mode leaves out elements it infers other shapes than it computes.
  const axes = sides.slice(0, rank).map((side) => ({
    ...side,
    stride: sideBySide ? side.kernel : ceil ? Math.min(side.stride, side.kernel) : side.stride,
    dilation: sideBySide || autoPad.startsWith("SAME") ? 1 : side.dilation,
    begin: Math.min(side.begin, side.kernel - 1),
    end: Math.min(side.end, side.kernel - 1),
  }));
  return {
    kernel_shape: ints(axes.map(({ kernel }) => kernel)),
    strides: ints(axes.map(({ stride }) => stride)),
    dilations: ints(axes.map(({ dilation }) => dilation)),
    ceil_mode: int(Number(ceil)),
    auto_pad: string(autoPad),
    ...(autoPad === "NOTSET" ? { pads: padsOf(axes) } : {}),
    ...(op === "MaxPool"
      ? { storage_order: int(Number(columnMajor)) }
      : { count_include_pad: int(Number(countsPads)) }),
  };
}

const padsOf = (axes: readonly Side[]): Attribute =>
  ints([...axes.map(({ begin }) => begin), ...axes.map(({ end }) => end)]);

function isWellFormed(recipe: Recipe): boolean {
  if (recipe.convolution === undefined && recipe.pool === undefined) return false;
  try {
    const { graph } = windowModel(recipe);
    const shapes = [...graph.valueTypes.values()].map(({ shape }) => shape?.map(Number) ?? []);
    return (
      shapes.every((dims) => sizeOf(dims) <= MOST_ELEMENTS) && graph.nodes.every((node) => sees(graph, node))
    );
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

/** Whether no window of a pool lies in the padding alone: the maximum and the mean of nothing are not defined. */
function sees({ valueTypes }: Graph, node: Node): boolean {
  const kernel = getInts(node, "kernel_shape");
  if (kernel === undefined) return true;
  const spatial = (valueTypes.get(node.inputs[0])?.shape ?? []).slice(2).map(Number);
  const { outputs, cells, at } = tapsOf(windowOf(node, spatial, kernel), spatial);
  return Array.from({ length: outputs }, (_, i) => at.subarray(i * cells, (i + 1) * cells)).every((taps) =>
    taps.some((tap) => tap >= 0),
  );
}
