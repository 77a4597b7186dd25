/** Cases of convolutions and their gradients. */

import { evaluateNode } from "../../../src/onnx/evaluate/node.js";
import { type Attribute, getInt, int, ints, string } from "../../../src/onnx/model.js";
import { opCase, type OpCase, Values } from "./case.js";

interface Setting {
  readonly about: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const SETTINGS: readonly Setting[] = [
  { about: "3x3", x: [2, 3, 5, 6], w: [4, 3, 3, 3] },
  { about: "1x1", x: [2, 3, 4, 4], w: [2, 3, 1, 1] },
  { about: "pads", x: [1, 2, 5, 5], w: [3, 2, 3, 3], attributes: { pads: ints([1, 1, 1, 1]) } },
  { about: "asymmetric pads", x: [1, 2, 5, 4], w: [2, 2, 3, 2], attributes: { pads: ints([0, 1, 2, 0]) } },
  {
    about: "pads wider than the kernel",
    x: [1, 1, 3, 3],
    w: [1, 1, 2, 2],
    attributes: { pads: ints([3, 2, 3, 2]) },
  },
  { about: "strides", x: [1, 2, 7, 8], w: [2, 2, 3, 3], attributes: { strides: ints([2, 3]) } },
  {
    about: "strides and pads that do not use the last rows",
    x: [2, 2, 6, 7],
    w: [2, 2, 3, 3],
    attributes: { strides: ints([2, 2]), pads: ints([1, 0, 0, 1]) },
  },
  {
    about: "strides larger than the kernel",
    x: [1, 1, 7, 7],
    w: [2, 1, 2, 2],
    attributes: { strides: ints([3, 3]) },
  },
  { about: "dilations", x: [1, 2, 7, 8], w: [2, 2, 3, 3], attributes: { dilations: ints([2, 3]) } },
  {
    about: "strides, pads and dilations",
    x: [2, 2, 8, 7],
    w: [3, 2, 3, 2],
    attributes: { strides: ints([2, 1]), pads: ints([2, 0, 1, 1]), dilations: ints([2, 2]) },
  },
  { about: "groups", x: [2, 4, 5, 5], w: [6, 2, 3, 3], attributes: { group: int(2) } },
  {
    about: "depthwise",
    x: [1, 3, 5, 5],
    w: [3, 1, 3, 3],
    attributes: { group: int(3), pads: ints([1, 1, 1, 1]) },
  },
  {
    about: "depthwise, two maps each, strides",
    x: [1, 3, 5, 5],
    w: [6, 1, 2, 2],
    attributes: { group: int(3), strides: ints([2, 2]) },
  },
  { about: "SAME_UPPER", x: [1, 2, 5, 6], w: [2, 2, 2, 3], attributes: { auto_pad: string("SAME_UPPER") } },
  {
    about: "SAME_LOWER, strides",
    x: [1, 2, 6, 7],
    w: [2, 2, 3, 3],
    attributes: { auto_pad: string("SAME_LOWER"), strides: ints([2, 2]) },
  },
  { about: "VALID", x: [1, 2, 5, 6], w: [2, 2, 2, 3], attributes: { auto_pad: string("VALID") } },
  { about: "1-D", x: [2, 3, 9], w: [4, 3, 3], attributes: { strides: ints([2]), pads: ints([1, 2]) } },
  { about: "3-D", x: [1, 2, 4, 5, 4], w: [2, 2, 2, 3, 2], attributes: { pads: ints([0, 1, 0, 1, 0, 1]) } },
];

const TRANSPOSED: readonly Setting[] = [
  { about: "3x3", x: [2, 3, 4, 5], w: [3, 2, 3, 3] },
  { about: "strides", x: [1, 2, 4, 3], w: [2, 3, 3, 2], attributes: { strides: ints([2, 3]) } },
  {
    about: "strides, pads, output_padding",
    x: [1, 2, 4, 3],
    w: [2, 3, 3, 3],
    attributes: { strides: ints([2, 2]), pads: ints([1, 0, 0, 1]), output_padding: ints([1, 0]) },
  },
  { about: "dilations", x: [1, 2, 4, 3], w: [2, 2, 3, 2], attributes: { dilations: ints([2, 3]) } },
  { about: "groups", x: [1, 4, 4, 3], w: [4, 3, 2, 2], attributes: { group: int(2) } },
  {
    about: "groups, strides, pads, output_padding",
    x: [2, 4, 3, 4],
    w: [4, 2, 3, 2],
    attributes: {
      group: int(2),
      strides: ints([2, 3]),
      pads: ints([1, 0, 0, 1]),
      output_padding: ints([1, 2]),
    },
  },
  {
    about: "depthwise",
    x: [2, 3, 3, 4],
    w: [3, 1, 2, 2],
    attributes: { group: int(3), strides: ints([2, 2]) },
  },
  {
    about: "SAME_UPPER",
    x: [1, 2, 3, 4],
    w: [2, 2, 3, 3],
    attributes: { auto_pad: string("SAME_UPPER"), strides: ints([2, 2]) },
  },
  {
    about: "output_shape",
    x: [1, 2, 3, 4],
    w: [2, 2, 3, 3],
    attributes: { output_shape: ints([6, 8]), strides: ints([2, 2]) },
  },
  { about: "1-D", x: [2, 3, 5], w: [3, 2, 3], attributes: { strides: ints([2]), pads: ints([1, 1]) } },
  { about: "3-D", x: [1, 2, 2, 3, 2], w: [2, 1, 2, 2, 2] },
];

export function* convolutionCases(): Generator<OpCase> {
  const values = new Values("convolution");
  for (const { about, x, w, attributes = {} } of SETTINGS) {
    const [input, weight, bias] = values.distinct(x, w, [w[0]]);
    const conv = opCase("Conv", about, [input, weight], { attributes, differentiable: [0, 1] });
    yield conv;
    yield opCase("Conv", `${about}, bias`, [input, weight, bias], { attributes, differentiable: [0, 1, 2] });
    const dy = values.one(...evaluateNode(conv.node, conv.inputs)[0].dims);
    const differentiable = [0, 1];
    yield opCase("ConvGradInput", about, [dy, weight], {
      attributes: { ...attributes, input_shape: ints(x) },
      differentiable,
    });
    yield opCase("ConvGradWeight", about, [dy, input], {
      attributes: { ...attributes, kernel_shape: ints(w.slice(2)) },
      differentiable,
    });
  }
  const [x, w] = values.distinct([1, 1, 4, 4], [1, 1, 2, 2]);
  yield opCase("Conv", "kernel_shape", [x, w], {
    attributes: { kernel_shape: ints([2, 2]) },
    differentiable: [0, 1],
  });
  for (const { about, x, w, attributes = {} } of TRANSPOSED) {
    const group = getInt(opCase("ConvTranspose", about, [], { attributes }).node, "group", 1);
    const [input, weight, bias] = values.distinct(x, w, [w[1] * group]);
    yield opCase("ConvTranspose", about, [input, weight], { attributes, differentiable: [0, 1] });
    const inputs = [input, weight, bias];
    yield opCase("ConvTranspose", `${about}, bias`, inputs, { attributes, differentiable: [0, 1, 2] });
  }
}
