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
      const images = [...image(input, y.input, x.input), ...image(output, y.output, x.output)] as const;
      const sizes = [y.kernel, x.kernel, y.stride, x.stride, y.dilation, x.dilation] as const;
      const pads = [y.begin, x.begin, y.end, x.end] as const;
      return [{ kernel: "pool", args: [kind, ...images, channelsOf(input), ...sizes, ...pads, least, most] }];
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
      const images = [...image(input, height, width), ...image(output, 1, 1)] as const;
      const window = [height, width, 1, 1, 1, 1, 0, 0, 0, 0] as const;
      return [{ kernel: "pool", args: [LARGEST, ...images, channelsOf(input), ...window, least, most] }];
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
        const args = [address, output.address, 1, 1, 1, channels, 0, 0, 0, 4, 0, 0, 0, step] as const;
        return [{ kernel: "copy", args, lane: [1, next] }];
      }
      const scale = 1 / (height * width);
      const args = [address, 4 * input.plane, channels, vectors, output.address, step, scale] as const;
      return [{ kernel: "sums", args, lane: [4, next] }];
    },
  });
}

/** What the kernel is told of an image. */
function image(
  { address, plane, row }: Value,
  height: number,
  width: number,
): [address: number, plane: number, row: number, height: number, width: number] {
  return [address, 4 * plane, 4 * row, height, width];
}

function channelsOf({ dims }: Value): number {
  return dims[0] * dims[1];
}
