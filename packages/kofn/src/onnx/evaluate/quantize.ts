/** Evaluation of fake quantizers and their straight-through gradients, from the definition. */

import { getInt, type Node } from "../model.js";
import type { Tensor } from "../tensor.js";
import {
  axisView,
  type EvaluateContext,
  type EvaluateRule,
  inputTensor,
  numbersOf,
  outputTensor,
} from "./support.js";

/** Ties go to the even number, as with the operator Round. */
function rounded(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** Calls `visit(element, channel)` for every element; there is one channel where the node has no axis. */
function forEachElement(
  node: Node,
  { dims, size }: Tensor,
  visit: (element: number, channel: number) => void,
): void {
  const axis = getInt(node, "axis", 0);
  const { outer, length, inner } = node.attributes.has("axis")
    ? axisView(dims, axis < 0 ? axis + dims.length : axis)
    : { outer: 1, length: 1, inner: size };
  for (let o = 0, element = 0; o < outer; o++) {
    for (let channel = 0; channel < length; channel++) {
      for (let i = 0; i < inner; i++) visit(element++, channel);
    }
  }
}

function values(context: EvaluateContext, value: (x: number, scale: number) => number): readonly Tensor[] {
  const x = inputTensor(context, 0);
  const [xs, scales] = [numbersOf(x), numbersOf(inputTensor(context, 1))];
  const y = new Float64Array(x.size);
  forEachElement(context.node, x, (i, channel) => {
    y[i] = value(xs[i], scales[channel]);
  });
  return [outputTensor(context.outputs[0], y)];
}

/** @param slopes of the quantized value, in x and in the scale. */
function gradients(
  context: EvaluateContext,
  slopes: (x: number, scale: number) => readonly [number, number],
): readonly Tensor[] {
  const x = inputTensor(context, 1);
  const [dY, xs, scales] = [0, 1, 2].map((index) => numbersOf(inputTensor(context, index)));
  const dX = new Float64Array(x.size);
  const dScale = new Float64Array(scales.length);
  forEachElement(context.node, x, (i, channel) => {
    const [ofX, ofScale] = slopes(xs[i], scales[channel]);
    dX[i] = dY[i] * ofX;
    dScale[channel] += dY[i] * ofScale;
  });
  return [outputTensor(context.outputs[0], dX), outputTensor(context.outputs[1], dScale)];
}

/** The smallest and the largest code. */
const rangeOf = ({ node }: EvaluateContext): [number, number] => [
  getInt(node, "low", 0),
  getInt(node, "high", 0),
];

export const quantizers = {
  FakeQuantize: (context) => {
    const [low, high] = rangeOf(context);
    return values(context, (x, s) => s * Math.max(low, Math.min(high, rounded(x / s))));
  },
  FakeQuantizeGrad: (context) => {
    const [low, high] = rangeOf(context);
    return gradients(context, (x, s) => {
      const value = x / s;
      if (value < low) return [0, low];
      return value > high ? [0, high] : [1, rounded(value) - value];
    });
  },
  FakeBinarize: (context) => values(context, (x, s) => (x < 0 ? -s : s)),
  FakeBinarizeGrad: (context) => gradients(context, (x, s) => [Math.abs(x) <= 1 ? s : 0, x < 0 ? -1 : 1]),
} as const satisfies Record<string, EvaluateRule>;
