/** Pooling, and means of whole images. */

import type { Fused } from "../graph/fuse.js";
import { numberOf } from "../graph/node.js";
import { windowOf } from "../graph/window.js";
import type { Planner } from "./planner.js";
import type { Value } from "./value.js";

const LARGEST = 0;
const MEAN = 1;
const MEAN_WITH_PADDING = 2;

/** MaxPool, AveragePool. */
export function pool(planner: Planner, { node, output: name, least, most }: Fused): void {
  const isMax = node.op === "MaxPool";
  const isPadded = numberOf(node, "count_include_pad", 0) !== 0;
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const { y, x } = windowOf(node, input.dims);
  const kind = isMax ? LARGEST : isPadded ? MEAN_WITH_PADDING : MEAN;
  planner.add({
    inputs: [input],
    output,
    emit: () => {
      const from = [input.address, 4 * input.plane, 4 * input.row, y.input, x.input];
      const to = [output.address, 4 * output.plane, 4 * output.row, y.output, x.output, channelsOf(input)];
      const window = [
        y.kernel,
        x.kernel,
        y.stride,
        x.stride,
        y.dilation,
        x.dilation,
        y.begin,
        x.begin,
        y.end,
        x.end,
      ];
      return [{ kernel: "pool", args: [kind, ...from, ...to, ...window, least, most] }];
    },
  });
}

/** GlobalMaxPool */
export function globalMax(planner: Planner, { node, output: name, least, most }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const [, , height, width] = input.dims;
  planner.add({
    inputs: [input],
    output,
    emit: () => {
      const from = [input.address, 4 * input.plane, 4 * input.row, height, width];
      const to = [output.address, 4 * output.plane, 4 * output.row, 1, 1, channelsOf(input)];
      const args = [LARGEST, ...from, ...to, height, width, 1, 1, 1, 1, 0, 0, 0, 0, least, most];
      return [{ kernel: "pool", args }];
    },
  });
}

/** GlobalAveragePool, ReduceMean of height and width. */
export function mean(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const [, , height, width] = input.dims;
  const channels = channelsOf(input);
  planner.add({
    inputs: [input],
    output,
    fillsLane: true,
    emit: () => {
      const step = 4 * output.plane;
      // Results of several samples lie side by side.
      const next = output.isWide ? 4 : 0;
      const { address, vectors } = input;
      if (input.isFlat) {
        const args = [address, output.address, 1, 1, 1, channels, 0, 0, 0, 4, 0, 0, 0, step];
        return [{ kernel: "copy", args, lane: [1, next] }];
      }
      const args = [address, 4 * input.plane, channels, vectors, output.address, step, 1 / (height * width)];
      return [{ kernel: "sums", args, lane: [4, next] }];
    },
  });
}

function channelsOf({ dims }: Value): number {
  return dims[0] * dims[1];
}
