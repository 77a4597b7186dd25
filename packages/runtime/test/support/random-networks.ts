/** Small random networks of all operators that the runtime has kernels for. */

import fc from "fast-check";
import { Builder } from "../../../kofn/src/onnx/builder.js";
import { emptyGraph, float, int, ints, type Model, string } from "../../../kofn/src/onnx/model.js";
import { InputError } from "../../../kofn/src/errors.js";
import { sizeOf, tensorFrom } from "../../../kofn/src/onnx/tensor.js";
import { Random } from "../../../kofn/src/random.js";
import { modelOf } from "../../../kofn/test/support/execute.js";

export interface Recipe {
  readonly seed: number;
  /** [channels, height, width] */
  readonly image: readonly [number, number, number];
  /** Share of weights that are not 0. */
  readonly density: number;
  readonly batch: number;
  /** For each layer its kind and numbers that it makes its attributes of. */
  readonly layers: readonly (readonly [kind: number, ...numbers: number[]])[];
  readonly end: number;
}

const number = fc.nat(1 << 20);

export const recipes: fc.Arbitrary<Recipe> = fc.record({
  seed: fc.nat(1e6),
  image: fc.tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 3, max: 18 }),
    fc.integer({ min: 3, max: 18 }),
  ),
  density: fc.constantFrom(0.05, 0.2, 0.5, 1),
  batch: fc.constantFrom(1, 2, 9, 33),
  layers: fc.array(fc.tuple(fc.nat(21), number, number, number, number, number), {
    minLength: 1,
    maxLength: 7,
  }),
  end: fc.nat(9),
});

const ACTIVATIONS = [
  ["Relu", {}],
  ["LeakyRelu", { alpha: float(0.2) }],
  ["Sigmoid", {}],
  ["HardSigmoid", { alpha: float(0.3), beta: float(0.4) }],
  ["HardSwish", {}],
  ["Tanh", {}],
  ["Erf", {}],
  ["Gelu", {}],
  ["Gelu", { approximate: string("tanh") }],
  ["Elu", { alpha: float(0.7) }],
  ["Abs", {}],
  ["Neg", {}],
  ["Softsign", {}],
  ["Exp", {}],
  ["Selu", {}],
  ["Softplus", {}],
  ["Mish", {}],
  // Without a jump that rounding could cross; the second tells lambd from bias.
  ["Shrink", { lambd: float(0.3), bias: float(0.3) }],
  ["Shrink", { lambd: float(-1e6), bias: float(0.3) }],
  ["Identity", {}],
  ["Dropout", {}],
] as const;

/** Those of positive values. */
const ROOTS = ["Sqrt", "Log", "Reciprocal"] as const;

/** Cells of an image that is not made larger. */
const LARGE = 1000;

/** The network; layers that do not fit what comes before them are left out. */
export function networkOf({ seed, image, density, layers, end }: Recipe): Model {
  const random = new Random(seed, "random networks");
  const b = new Builder(emptyGraph("random"));
  const type = { dtype: "float32", shape: ["batch", ...image] } as const;
  b.graph.inputs.push({ name: "input", type });
  b.graph.valueTypes.set("input", type);
  let names = 0;
  const parameter = (dims: readonly number[], of: () => number): string =>
    b.initializer(`p${names++}`, tensorFrom("float32", dims, Array.from({ length: sizeOf(dims) }, of)));
  const signed = (): number => 2 * random.uniform() - 1;
  const sparse = (): number => (random.uniform() < density ? signed() : 0);
  const whole = (values: readonly number[]): string =>
    b.initializer(`p${names++}`, tensorFrom("int64", [values.length], [...values]));
  const dims = (value: string): number[] => (b.type(value).shape ?? []).slice(1).map(Number);
  let x = "input";
  const images = [x];
  for (const [kind, ...numbers] of layers) {
    try {
      x = layer(kind, numbers);
      images.push(x);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
  b.output(ended());
  return modelOf(b.graph);

  function layer(kind: number, [p, q, r, s, t]: readonly number[]): string {
    const [channels, height, width] = dims(x);
    switch (kind) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const groups = kind === 3 ? (p % 2 === 0 ? channels : channels % 2 === 0 ? 2 : 1) : 1;
        const maps = groups * (1 + (q % 6));
        const kernel = [1 + (r % 4), 1 + (s % 4)];
        const weight = parameter([maps, channels / groups, ...kernel], sparse);
        const inputs = [x, weight, ...(t % 2 === 0 ? [parameter([maps], signed)] : [])];
        const pads = t % 3 === 0 ? [0, 0, 0, 0] : [p % 3, q % 3, r % 3, s % 3];
        const dilations = t % 7 < 5 ? [1, 1] : [1 + (r % 2), 1 + (s % 2)];
        // onnxruntime knows no dilation with this padding.
        const isSame = t % 11 === 0 && dilations.every((dilation) => dilation === 1);
        const attributes = {
          kernel_shape: ints(kernel),
          strides: ints(t % 5 < 3 ? [1, 1] : [1 + (p % 3), 1 + (q % 3)]),
          dilations: ints(dilations),
          group: int(groups),
          ...(isSame ? { auto_pad: string("SAME_UPPER") } : { pads: ints(pads) }),
        };
        return b.op("Conv", inputs, attributes);
      }
      case 4: {
        const positive = (): number => 0.5 + random.uniform();
        const of = [positive, signed, signed, positive].map((values) => parameter([channels], values));
        return b.op("BatchNormalization", [x, ...of], { epsilon: float(1e-3) });
      }
      case 5: {
        const [op, attributes] = ACTIVATIONS[p % ACTIVATIONS.length];
        // Of a bounded value: infinite ones are no matter of tolerance.
        return b.op(op, [op === "Exp" ? b.op("Tanh", [x]) : x], attributes);
      }
      case 6: {
        const power = parameter([], () => [0.5, -1, 1, 2, 3][q % 5]);
        if (p % 4 === 1) return b.op(ROOTS[q % 3], [b.op("Sigmoid", [x])]);
        if (p % 4 === 2) return b.op("Pow", [b.op("Sigmoid", [x]), power]);
        if (p % 4 === 3) return b.op("Expand", [x, whole([1, channels, height, width])]);
        return b.op("Clip", [x, parameter([], () => -0.3), parameter([], () => 0.6)]);
      }
      case 7:
      case 8: {
        const kernel = [1 + (p % 3), 1 + (q % 3)];
        const strides = [1 + (r % 3), 1 + (s % 3)];
        const pads = [0, Math.min(q % 2, kernel[1] - 1), Math.min(r % 2, kernel[0] - 1), 0];
        // With windows that would begin behind the input, onnxruntime contradicts itself.
        const isCeil = t % 2 === 1 && pads[2] === 0 && kernel.every((size, i) => size >= strides[i]);
        const attributes = {
          kernel_shape: ints(kernel),
          strides: ints(strides),
          pads: ints(pads),
          ceil_mode: int(Number(isCeil)),
        };
        if (kind === 7) return b.op("MaxPool", [x], attributes);
        return b.op("AveragePool", [x], { ...attributes, count_include_pad: int(Number(t % 3 === 0)) });
      }
      case 9: {
        const same = images.filter((one) => String(dims(one)) === String(dims(x)));
        const op = (["Add", "Add", "Mul", "Sub", "Max", "Min"] as const)[q % 6];
        const other = same[p % same.length];
        return b.op(op, r % 2 === 0 ? [x, other] : [other, x]);
      }
      case 10: {
        const shapes = [[1, channels, 1, 1], [channels, 1, 1], [1], [], [1, channels, height, width]];
        const op = (["Add", "Mul", "Sub", "Div", "PRelu"] as const)[q % 5];
        const other = parameter(shapes[p % shapes.length], () => 0.5 + random.uniform());
        // Never over x: 0 times an infinite value is not a number where zeros are multiplied.
        const isFirst = r % 2 === 0 || op === "PRelu" || op === "Div";
        return b.op(op, isFirst ? [x, other] : [other, x]);
      }
      case 11: {
        // Squeeze and excitation.
        const mean = b.op(p % 2 === 0 ? "GlobalAveragePool" : "GlobalMaxPool", [x]);
        const gate = b.op("Conv", [mean, parameter([channels, channels, 1, 1], sparse)], {
          kernel_shape: ints([1, 1]),
        });
        return b.op("Mul", [x, b.op("HardSigmoid", [gate])]);
      }
      case 12: {
        const fitting = images.filter((one) => String(dims(one).slice(1)) === String([height, width]));
        return b.op("Concat", [x, fitting[p % fitting.length]], { axis: int(1) });
      }
      case 13: {
        const axis = 1 + (p % 3);
        const size = dims(x)[axis - 1];
        const start = q % size;
        const step = 1 + (s % 2);
        if (t % 3 === 0)
          return b.op("Slice", [x, whole([size - 1]), whole([-size - 1]), whole([axis]), whole([-step])]);
        if (t % 3 === 1 && size > 1) {
          const sizes = [1 + (q % (size - 1)), size - 1 - (q % (size - 1))];
          const [first, second] = b.ops("Split", [x, whole(sizes)], { axis: int(axis) }, ["part", "part"]);
          return r % 2 === 0 ? first : second;
        }
        return b.op("Slice", [x, whole([start]), whole([2 ** 40]), whole([axis - 4]), whole([step])]);
      }
      case 14: {
        const mode = ["constant", "edge", "reflect"][p % 3];
        const most = (size: number): number => (mode === "reflect" ? size : 4);
        const pads = [0, 0, q % most(height), r % most(width), 0, 0, s % most(height), t % most(width)];
        const value = b.initializer(`p${names++}`, tensorFrom("float32", [], [0.5]));
        return b.op("Pad", [x, whole(pads), value], { mode: string(mode) });
      }
      case 15: {
        const isLinear = p % 2 === 0;
        const transformations = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"];
        const roundings = ["round_prefer_floor", "floor"];
        const attributes = {
          mode: string(isLinear ? "linear" : "nearest"),
          coordinate_transformation_mode: string(transformations[q % 4]),
          ...(!isLinear && { nearest_mode: string(roundings[r % 2]) }),
        };
        const [down, right] = [[2, 0.5, 1.5][s % 3], [2, 3, 0.75][r % 3]];
        const sizes = [Math.floor(height * down), Math.floor(width * right)];
        if (sizes.some((size) => size < 1) || height * width > LARGE) return x;
        const scales = b.initializer(`p${names++}`, tensorFrom("float32", [4], [1, 1, down, right]));
        if (t % 2 === 0) return b.op("Resize", [x, "", scales], attributes);
        return b.op("Resize", [x, "", "", whole(sizes)], { ...attributes, axes: ints([2, 3]) });
      }
      case 16: {
        if (height * width > LARGE) return x;
        const groups = p % 3 === 0 && channels % 2 === 0 ? 2 : 1;
        const perGroup = 1 + (q % 3);
        const kernel = [1 + (r % 4), 1 + (s % 4)];
        const strides = [1 + (t % 3), 1 + (p % 2)];
        const weight = parameter([channels, perGroup, ...kernel], sparse);
        const inputs = [x, weight, ...(q % 2 === 0 ? [parameter([groups * perGroup], signed)] : [])];
        const pads = [0, 1, 0, 1].map((i, at) => (t >> at) % kernel[i]);
        const extra = strides.map((stride, i) => (r >> i) % stride);
        return b.op("ConvTranspose", inputs, {
          kernel_shape: ints(kernel),
          strides: ints(strides),
          pads: ints(pads),
          output_padding: ints(extra),
          group: int(groups),
        });
      }
      case 17:
        return b.op(p % 2 === 0 ? "Softmax" : "LogSoftmax", [x], { axis: int(1 + (q % 3)) });
      case 18: {
        const op = (["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"] as const)[p % 4];
        const axes = [[1], [2], [3], [2, 3], [1, 2, 3], [-1]][q % 6];
        const reduced = b.op(op, [x, whole(axes)], { keepdims: int(1) });
        return b.op((["Sub", "Mul", "Add"] as const)[r % 3], s % 2 === 0 ? [x, reduced] : [reduced, x]);
      }
      case 19: {
        // Tokens: the image's rows or its channels, through attention and a layer.
        const tokens = b.op("Reshape", [x, whole([0, channels, height * width])]);
        const turned = p % 2 === 0 ? b.op("Transpose", [tokens], { perm: ints([0, 2, 1]) }) : tokens;
        const [, features] = dims(turned);
        const scale = [parameter([features], signed), parameter([features], signed)];
        const normal = b.op("LayerNormalization", [turned, ...scale], {
          axis: int(-1),
          epsilon: float(1e-3),
        });
        const inner = 1 + (q % 5);
        const [queries, keys] = [0, 1].map(() => {
          const product = b.op("MatMul", [normal, parameter([features, inner], sparse)]);
          return b.op("Add", [parameter([inner], signed), product]);
        });
        const scores = b.op("MatMul", [queries, b.op("Transpose", [keys], { perm: ints([0, 2, 1]) })]);
        const mixed = b.op("MatMul", [b.op("Softmax", [scores], { axis: int(-1) }), normal]);
        const sum = b.op("Add", [mixed, turned]);
        const back = p % 2 === 0 ? b.op("Transpose", [sum], { perm: ints([0, 2, 1]) }) : sum;
        return b.op("Reshape", [back, whole([0, channels, height, width])]);
      }
      case 20: {
        // Rows: the image's cells one after the other, through convolutions and pools of one axis.
        const rows = b.op("Reshape", [x, whole([0, channels, height * width])]);
        const kernel = [1 + (q % 3)];
        const stride = {
          strides: ints([1 + (t % 2)]),
          pads: ints([r % kernel[0], s % kernel[0]]),
          kernel_shape: ints(kernel),
        };
        const maps = 1 + (s % 4);
        const weight = parameter([maps, channels, ...kernel], sparse);
        const conv = b.op("Conv", [rows, weight, parameter([maps], signed)], {
          ...stride,
          dilations: ints([1]),
        });
        const relu = b.op("Relu", [p % 3 === 0 ? b.op("Sigmoid", [conv]) : conv]);
        const length = dims(relu)[1];
        const last =
          p % 2 === 0 || length < 3
            ? b.op("Add", [relu, conv])
            : b.op(r % 2 === 0 ? "MaxPool" : "AveragePool", [relu], {
                kernel_shape: ints([2]),
                strides: ints([1]),
              });
        return b.op("Unsqueeze", [last, whole([2])]);
      }
      default: {
        if (p % 6 === 5) {
          if (channels % 4 !== 0) return x;
          return b.op("DepthToSpace", [x], { blocksize: int(2), mode: string(q % 2 === 0 ? "DCR" : "CRD") });
        }
        if (p % 6 === 4) {
          const kept = Array.from({ length: 1 + (q % 3) }, (_, i) => (r + i * s) % height);
          if (t % 2 === 0) return b.op("Gather", [x, whole(kept)], { axis: int(2) });
          const place = b.initializer(`p${names++}`, tensorFrom("int64", [], [-1]));
          return b.op("Unsqueeze", [b.op("Gather", [x, place], { axis: int(1) }), whole([1])]);
        }
        if (p % 3 === 0) return b.op("Transpose", [x], { perm: ints([0, 1, 3, 2]) });
        if (p % 3 === 1 && t % 2 === 0)
          return b.op("Squeeze", [b.op("Unsqueeze", [x, whole([1, 3])]), whole([1, 3])]);
        if (p % 3 === 1) return b.op("Reshape", [x, whole([-1, height, channels, width])]);
        if (channels % 2 !== 0) return x;
        // Channel shuffle.
        const split = b.op("Reshape", [x, whole([-1, 2, channels / 2, height, width])]);
        const turned = b.op("Transpose", [split], { perm: ints([0, 2, 1, 3, 4]) });
        return b.op("Reshape", [turned, whole([-1, channels, height, width])]);
      }
    }
  }

  function ended(): string {
    if (end === 0) return x === "input" ? b.op("Relu", [x]) : x;
    if (end > 7) {
      // The mean of tokens, as transformers end.
      const [channels, height, width] = dims(x);
      const tokens = b.op("Reshape", [x, whole([0, channels, height * width])]);
      return b.op("ReduceMean", [tokens, whole([1 + (end % 2)])], { keepdims: int(0) });
    }
    const flat = end % 2 === 0 ? b.op("Flatten", [x]) : b.op("Flatten", [b.op("GlobalAveragePool", [x])]);
    const [inputs] = dims(flat);
    const hidden = b.op("Gemm", [flat, parameter([7, inputs], sparse), parameter([7], signed)], {
      transB: int(1),
    });
    const relu = b.op("Relu", [hidden]);
    const product = b.op("MatMul", [relu, parameter([7, 5], sparse)]);
    const sum = b.op("Add", [product, parameter([5], signed)]);
    return end < 4 ? sum : b.op(end < 6 ? "Softmax" : "LogSoftmax", [sum], { axis: int(-1) });
  }
}
