/** Cases of pools and their gradients. */

import { evaluateNode } from "../../../src/onnx/evaluate/node.js";
import { type Attribute, int, ints, string } from "../../../src/onnx/model.js";
import { opCase, type OpCase, Values } from "./case.js";

interface Setting {
  readonly about: string;
  readonly x: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>> & { readonly kernel_shape: Attribute };
}

const two = ints([2, 2]);
const three = ints([3, 3]);

const SETTINGS: readonly Setting[] = [
  { about: "2x2, strides 2", x: [2, 3, 6, 4], attributes: { kernel_shape: two, strides: two } },
  { about: "2x2, overlapping", x: [1, 2, 4, 5], attributes: { kernel_shape: two } },
  { about: "gaps", x: [1, 2, 7, 8], attributes: { kernel_shape: two, strides: three } },
  { about: "rows left over", x: [1, 2, 5, 7], attributes: { kernel_shape: two, strides: two } },
  {
    about: "pads",
    x: [1, 2, 5, 5],
    attributes: { kernel_shape: three, strides: two, pads: ints([1, 1, 1, 1]) },
  },
  {
    about: "side by side, pads",
    x: [1, 2, 6, 6],
    attributes: { kernel_shape: three, strides: three, pads: ints([1, 1, 1, 1]) },
  },
  {
    about: "asymmetric pads",
    x: [1, 2, 5, 4],
    attributes: { kernel_shape: three, pads: ints([0, 2, 1, 0]) },
  },
  {
    about: "ceil_mode",
    x: [1, 2, 5, 6],
    attributes: { kernel_shape: three, strides: two, ceil_mode: int(1) },
  },
  {
    about: "ceil_mode and pads",
    x: [1, 2, 6, 7],
    attributes: { kernel_shape: three, strides: three, ceil_mode: int(1), pads: ints([1, 0, 0, 1]) },
  },
  {
    about: "ceil_mode, last window in the padding",
    x: [1, 1, 4, 4],
    attributes: { kernel_shape: two, strides: three, ceil_mode: int(1), pads: ints([1, 1, 1, 1]) },
  },
  { about: "dilations", x: [1, 2, 7, 8], attributes: { kernel_shape: two, dilations: ints([2, 3]) } },
  {
    about: "dilations, strides, pads",
    x: [1, 2, 7, 8],
    attributes: { kernel_shape: three, dilations: two, strides: two, pads: ints([1, 1, 2, 0]) },
  },
  { about: "SAME_UPPER", x: [1, 2, 5, 6], attributes: { kernel_shape: two, auto_pad: string("SAME_UPPER") } },
  {
    about: "SAME_LOWER, strides",
    x: [1, 2, 6, 7],
    attributes: { kernel_shape: three, strides: two, auto_pad: string("SAME_LOWER") },
  },
  { about: "VALID", x: [1, 2, 5, 6], attributes: { kernel_shape: three, auto_pad: string("VALID") } },
  {
    about: "ceil_mode, dilations and pads",
    x: [1, 2, 8, 9],
    attributes: {
      kernel_shape: two,
      dilations: ints([2, 3]),
      strides: ints([3, 2]),
      ceil_mode: int(1),
      pads: ints([1, 0, 0, 1]),
    },
  },
  {
    about: "1-D",
    x: [2, 3, 9],
    attributes: { kernel_shape: ints([3]), strides: ints([2]), pads: ints([1, 1]) },
  },
  {
    about: "3-D",
    x: [1, 2, 4, 4, 5],
    attributes: { kernel_shape: ints([2, 2, 3]), strides: ints([2, 1, 2]) },
  },
];

export function* poolCases(): Generator<OpCase> {
  const values = new Values("pool");
  const differentiable = [0];
  for (const { about, x, attributes } of SETTINGS) {
    const [input] = values.distinct(x);
    const maxPool = opCase("MaxPool", about, [input], { attributes, differentiable });
    yield maxPool;
    yield opCase("MaxPool", `${about}, indices`, [input], { attributes, outputs: 2, differentiable });
    yield opCase("MaxPool", `${about}, column-major indices`, [input], {
      attributes: { ...attributes, storage_order: int(1) },
      outputs: 2,
      differentiable,
    });
    const [y] = evaluateNode(maxPool.node, maxPool.inputs);
    yield opCase("MaxPoolGrad", about, [values.one(...y.dims), input, y], { attributes, differentiable });
    for (const padded of [0, 1]) {
      const counted = { ...attributes, count_include_pad: int(padded) };
      const title = `${about}, count_include_pad ${padded}`;
      yield opCase("AveragePool", title, [values.one(...x)], { attributes: counted, differentiable });
      yield opCase("AveragePoolGrad", title, [values.one(...y.dims)], {
        attributes: { ...counted, input_shape: ints(x) },
        differentiable,
      });
    }
  }
  for (const x of [
    [2, 3, 4, 5],
    [1, 2, 6],
    [1, 2, 2, 3, 2],
  ]) {
    for (const op of ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"] as const) {
      yield opCase(op, `${x.length - 2}-D`, [values.one(...x)], { differentiable });
    }
    for (const p of [1, 3]) {
      yield opCase("GlobalLpPool", `${x.length - 2}-D, p ${p}`, [values.one(...x)], {
        attributes: { p: int(p) },
        differentiable,
      });
    }
  }
}
