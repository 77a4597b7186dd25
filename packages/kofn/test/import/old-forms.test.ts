/** Every form that an operator had since operator set 9 computes the same after import: both run on onnxruntime. */

import { expect, test } from "vitest";
import { importModel } from "../../src/import/import.js";
import {
  type Attribute,
  type Dim,
  emptyGraph,
  float,
  int,
  ints,
  type Model,
  OPSET,
  string,
} from "../../src/onnx/model.js";
import { inferGraph } from "../../src/onnx/infer.js";
import { tensorFrom } from "../../src/onnx/tensor.js";
import { validate } from "../../src/onnx/validate.js";
import { largestDifference, runModel, uniform } from "./support.js";

interface Form {
  readonly op: string;
  /** The operator sets in which it has this form. */
  readonly opsets: readonly number[];
  /** Shape of the input x, without the batch. */
  readonly dims: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Stored inputs after x. */
  readonly stored?: readonly (readonly [dims: readonly number[], values?: readonly number[]] | "")[];
  readonly outputs?: number;
  readonly tolerance?: number;
}

const OLD = [9, 11];
const ALL = [9, 11, 13, 15, 18];
const image = [4, 7, 7];
const kernel = { kernel_shape: ints([3, 3]) };

const FORMS: readonly Form[] = [
  { op: "Squeeze", opsets: OLD, dims: [1, 3, 1], attributes: { axes: ints([1, 3]) } },
  { op: "Unsqueeze", opsets: OLD, dims: [3], attributes: { axes: ints([1, 3]) } },
  { op: "ReduceSum", opsets: OLD, dims: [3, 4], attributes: { axes: ints([1]), keepdims: int(0) } },
  { op: "ReduceMean", opsets: ALL.slice(0, 4), dims: [3, 4], attributes: { axes: ints([2]) } },
  { op: "ReduceMax", opsets: ALL.slice(0, 4), dims: [3, 4], attributes: { axes: ints([1, 2]) } },
  { op: "ReduceMin", opsets: [11, 13], dims: [3, 4], attributes: { axes: ints([-1]), keepdims: int(0) } },
  { op: "ReduceL2", opsets: [11, 13], dims: [3, 4], attributes: { axes: ints([1]) } },
  { op: "ReduceLogSumExp", opsets: [11, 13], dims: [3, 4], attributes: { axes: ints([1]) } },
  { op: "ReduceProd", opsets: [11], dims: [3, 4], attributes: { axes: ints([1]) } },
  { op: "Split", opsets: OLD, dims: [5, 2], attributes: { axis: int(1), split: ints([2, 3]) }, outputs: 2 },
  { op: "Split", opsets: [9, 11, 13, 15], dims: [6, 2], attributes: { axis: int(1) }, outputs: 3 },
  {
    op: "Slice",
    opsets: [9],
    dims: [5, 6],
    attributes: { starts: ints([1, -3]), ends: ints([4, 2 ** 31 - 1]), axes: ints([1, 2]) },
  },
  {
    op: "Slice",
    opsets: [9],
    dims: [5],
    attributes: { starts: ints([0, 2]), ends: ints([2 ** 31 - 1, -1]) },
  },
  {
    op: "Slice",
    opsets: [10, 13],
    dims: [5],
    stored: [
      [[1], [1]],
      [[1], [4]],
      [[1], [1]],
      [[1], [2]],
    ],
  },
  {
    op: "Pad",
    opsets: [9],
    dims: image,
    attributes: { pads: ints([0, 0, 1, 2, 0, 0, 0, 1]), value: float(2) },
  },
  {
    op: "Pad",
    opsets: [9],
    dims: image,
    attributes: { pads: ints([0, 0, 1, 2, 0, 0, 0, 1]), mode: string("reflect") },
  },
  { op: "Clip", opsets: [9], dims: [8], attributes: { min: float(-0.5), max: float(0.25) } },
  { op: "Clip", opsets: [9], dims: [8], attributes: { max: float(0.25) } },
  { op: "Clip", opsets: [9], dims: [8] },
  { op: "Clip", opsets: [11, 12], dims: [8], stored: ["", [[], [0.25]]] },
  { op: "Upsample", opsets: [9], dims: image, stored: [[[4], [1, 1, 2, 3]]] },
  {
    op: "Upsample",
    opsets: [9],
    dims: image,
    attributes: { mode: string("linear") },
    stored: [[[4], [1, 1, 2, 1.5]]],
  },
  { op: "Resize", opsets: [10], dims: image, stored: [[[4], [1, 1, 2, 1.5]]] },
  { op: "Resize", opsets: [10], dims: image, stored: [[[4], [1, 1, 0.5, 0.7]]] },
  {
    op: "Resize",
    opsets: [10],
    dims: image,
    attributes: { mode: string("linear") },
    stored: [[[4], [1, 1, 2, 0.7]]],
  },
  ...["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"].flatMap((coordinates): Form[] => {
    const attributes = { coordinate_transformation_mode: string(coordinates), nearest_mode: string("floor") };
    const linear = { ...attributes, mode: string("linear") };
    // Operator set 11 could not leave the region out.
    return (
      [
        [11, [[0], []]],
        [13, ""],
        [18, ""],
        [19, ""],
      ] as const
    ).flatMap(([opset, region]): Form[] => [
      { op: "Resize", opsets: [opset], dims: image, attributes, stored: [region, [[4], [1, 1, 2, 3]]] },
      {
        op: "Resize",
        opsets: [opset],
        dims: image,
        attributes: linear,
        stored: [region, [[4], [1, 1, 1.5, 2]]],
      },
    ]);
  }),
  // Scale and bias for each of two groups of three channels.
  {
    op: "GroupNormalization",
    opsets: [18, 19, 20],
    dims: [6, 4, 3],
    attributes: { num_groups: int(2), epsilon: float(1e-3) },
    stored: [
      [[2], [1.5, -0.5]],
      [[2], [0.25, 2]],
    ],
  },
  { op: "Dropout", opsets: [9, 11], dims: [8], attributes: { ratio: float(0.3) } },
  { op: "Dropout", opsets: [12, 13], dims: [8], stored: [[[], [0.3]]] },
  { op: "TopK", opsets: [9], dims: [8], attributes: { k: int(3), axis: int(1) }, outputs: 2 },
  { op: "TopK", opsets: [10, 11], dims: [8], stored: [[[1], [3]]], outputs: 2 },
  { op: "Softmax", opsets: ALL, dims: [5] },
  { op: "Softmax", opsets: ALL, dims: [3, 4] },
  { op: "Softmax", opsets: ALL, dims: [3, 4], attributes: { axis: int(2) } },
  { op: "Softmax", opsets: [11, 13], dims: [3, 4], attributes: { axis: int(-1) } },
  { op: "Softmax", opsets: ALL, dims: [3, 1, 1], attributes: { axis: int(1) } },
  { op: "Softmax", opsets: ALL, dims: [2, 3, 2], attributes: { axis: int(2) } },
  { op: "LogSoftmax", opsets: ALL, dims: [3, 4] },
  { op: "LogSoftmax", opsets: ALL, dims: [2, 3, 2], attributes: { axis: int(1) } },
  {
    op: "BatchNormalization",
    opsets: [9, 13, 14, 15],
    dims: image,
    attributes: { epsilon: float(1e-3) },
    stored: [[[4]], [[4]], [[4]], [[4], [0.5, 1, 2, 3]]],
  },
  {
    op: "Gemm",
    opsets: [9, 11],
    dims: [5],
    attributes: { transB: int(1), alpha: float(0.5) },
    stored: [[[3, 5]], [[3]]],
  },
  { op: "Gemm", opsets: [11, 13], dims: [5], stored: [[[5, 3]]] },
  { op: "Cast", opsets: ALL, dims: [5], attributes: { to: int(6) } },
  { op: "Flatten", opsets: ALL, dims: [3, 4], attributes: { axis: int(2) } },
  { op: "Reshape", opsets: ALL, dims: [3, 4], stored: [[[3], [0, 4, -1]]] },
  { op: "Reshape", opsets: ALL, dims: [3, 4], stored: [[[2], [-1, 12]]] },
  { op: "PRelu", opsets: ALL, dims: image, stored: [[[4, 1, 1]]] },
  {
    op: "Scatter",
    opsets: [9],
    dims: [3],
    stored: [
      [
        [2, 2],
        [0, 2, 1, 0],
      ],
      [[2, 2]],
    ],
    attributes: { axis: int(1) },
  },
  { op: "ArgMax", opsets: ALL, dims: [7], attributes: { axis: int(1) } },
  { op: "MaxPool", opsets: [9, 10, 11, 12], dims: image, attributes: { ...kernel, strides: ints([2, 2]) } },
  ...["SAME_UPPER", "SAME_LOWER", "VALID"].flatMap((mode): Form[] => {
    const automatic = { auto_pad: string(mode), strides: ints([2, 2]) };
    return [
      { op: "MaxPool", opsets: ALL, dims: [4, 8, 7], attributes: { ...kernel, ...automatic } },
      { op: "AveragePool", opsets: ALL, dims: [4, 8, 7], attributes: { ...kernel, ...automatic } },
      {
        op: "AveragePool",
        opsets: ALL,
        dims: [4, 8, 7],
        attributes: { ...kernel, ...automatic, count_include_pad: int(1) },
      },
      { op: "Conv", opsets: ALL, dims: [4, 8, 7], attributes: automatic, stored: [[[6, 4, 3, 2]], [[6]]] },
      {
        op: "Conv",
        opsets: ALL,
        dims: image,
        attributes: { ...automatic, group: int(4) },
        stored: [[[4, 1, 5, 5]]],
      },
      { op: "ConvTranspose", opsets: ALL, dims: image, attributes: automatic, stored: [[[4, 2, 3, 3]]] },
    ];
  }),
  ...[0, 1].flatMap((include): Form[] => {
    const open = { ceil_mode: int(1), strides: ints([3, 2]), pads: ints([1, 0, 1, 1]) };
    return [
      {
        op: "AveragePool",
        opsets: [10, 11, 18, 19],
        dims: [2, 8, 6],
        attributes: { ...kernel, ...open, count_include_pad: int(include) },
      },
      {
        op: "MaxPool",
        opsets: [10, 11, 12, 18],
        dims: [2, 8, 6],
        attributes: { ...kernel, ...open, strides: ints([2, 3 - include]) },
      },
      {
        op: "AveragePool",
        opsets: [9, 11, 18, 19],
        dims: [2, 8, 6],
        attributes: { ...kernel, pads: ints([1, 1, 1, 0]), count_include_pad: int(include) },
      },
    ];
  }),
];

function modelOf(
  { op, dims, attributes = {}, stored = [], outputs = 1 }: Form,
  opset: number,
  batch: Dim,
): Model {
  const graph = emptyGraph("old");
  graph.inputs.push({ name: "x", type: { dtype: "float32", shape: [batch, ...dims] } });
  const integers = new Set(["Slice", "TopK", "Reshape"]);
  const inputs = stored.map((each, i) => {
    if (each === "") return "";
    const [shape, values] = each;
    const index = integers.has(op) || (op === "Scatter" && i === 0);
    const name = `stored${i}`;
    const filled =
      values === undefined ? uniform(shape, i) : tensorFrom(index ? "int64" : "float32", shape, values);
    graph.initializers.set(name, filled);
    // As old exporters do it.
    graph.inputs.push({ name, type: { dtype: filled.dtype, shape } });
    return name;
  });
  const names = Array.from({ length: outputs }, (_, i) => `y${i}`);
  graph.nodes.push({
    op,
    domain: "",
    name: "",
    inputs: ["x", ...inputs],
    outputs: names,
    attributes: new Map(Object.entries(attributes)),
  });
  const types: Readonly<Record<string, "int64" | "int32">> = { ArgMax: "int64", Cast: "int32" };
  graph.outputs = names.map((name, i) => {
    const dtype = op === "TopK" && i === 1 ? "int64" : (types[op] ?? "float32");
    return { name, type: { dtype, shape: undefined } };
  });
  return {
    irVersion: 6,
    producerName: "",
    producerVersion: "",
    opsets: new Map([["", opset]]),
    graph,
    metadata: new Map(),
  };
}

const CASES = FORMS.flatMap((form) => form.opsets.map((opset) => [opset, form.op, form] as const));

test.each(CASES)("operator set %i: %s", async (opset, _, form) => {
  for (const batch of ["batch", 2]) {
    const model = modelOf(form, opset, batch);
    const imported = importModel(model);
    expect(imported.opsets.get("")).toBe(OPSET);
    validate(imported);
    inferGraph(imported);
    expect(imported.graph.nodes.some((node) => node.attributes.has("auto_pad"))).toBe(false);
    const x = uniform([2, ...form.dims], 7);
    const [before, after] = await Promise.all([runModel(model, x), runModel(imported, x)]);
    for (const { name } of model.graph.outputs) {
      expect(largestDifference(after.get(name), before.get(name))).toBeLessThan(form.tolerance ?? 1e-6);
    }
  }
});
