/** Cases of batch normalisation: with given statistics, with those of the batch, and the latter's gradient. */

import { evaluateNode } from "../../../src/onnx/evaluate/node.js";
import { type Attribute, float } from "../../../src/onnx/model.js";
import { opCase, type OpCase, Values } from "./case.js";

const SHAPES: readonly {
  readonly about: string;
  readonly x: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}[] = [
  { about: "[N, C]", x: [5, 3] },
  { about: "1-D", x: [3, 2, 4] },
  { about: "images", x: [3, 2, 2, 3] },
  { about: "one image", x: [1, 3, 3, 2] },
  { about: "one channel", x: [4, 1, 2, 2] },
  { about: "epsilon", x: [3, 2, 3, 2], attributes: { epsilon: float(0.125) } },
  { about: "3-D", x: [2, 2, 2, 2, 2] },
];

export function* batchNormCases(): Generator<OpCase> {
  const values = new Values("batch norm");
  for (const { about, x: dims, attributes = {} } of SHAPES) {
    const channels = dims[1];
    const [x, dY] = values.distinct(dims, dims);
    const [scale, bias, mean] = values.distinct([channels], [channels], [channels]);
    const given = [x, scale, bias, mean, values.positive(channels)];
    yield opCase("BatchNormalization", about, given, { attributes, differentiable: [0, 1, 2, 3, 4] });
    const own = opCase("BatchNorm", about, [x, scale, bias], {
      attributes,
      outputs: 3,
      differentiable: [0, 1, 2],
    });
    yield own;
    const [, batchMean, variance] = evaluateNode(own.node, own.inputs);
    const options = { attributes, outputs: 3 };
    yield opCase("BatchNormGrad", about, [dY, x, scale, batchMean, variance], options);
  }
}
