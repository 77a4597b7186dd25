/** Resize: images in other sizes. */

import type { Fused } from "../graph/fuse.js";
import { numberOf, refuse, textOf } from "../graph/node.js";
import { resizedOf } from "../graph/shapes.js";
import { stepsOf } from "./copies.js";
import { NotWide, type Planner } from "./planner.js";

/** Places of results by places of the input, by the name of a transformation. */
const TRANSFORMATIONS: Readonly<
  Record<string, (x: number, scale: number, from: number, to: number) => number>
> = {
  half_pixel: (x, scale) => (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, scale, _, to) => (to > 1 ? (x + 0.5) / scale - 0.5 : 0),
  align_corners: (x, _, from, to) => (to > 1 ? (x * (from - 1)) / (to - 1) : 0),
  asymmetric: (x, scale) => x / scale,
};

const ROUNDINGS: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  floor: Math.floor,
};

/** Bytes of an entry of a table: two distances in the input, and the weight of the second. */
const ENTRY = 12;

export function resize(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  if (input.isWide || output.isWide) throw new NotWide();
  const mode = textOf(node, "mode", "nearest");
  const transformation = textOf(node, "coordinate_transformation_mode", "half_pixel");
  const rounding = textOf(node, "nearest_mode", "round_prefer_floor");
  const isFit =
    (mode === "nearest" || mode === "linear") &&
    Object.hasOwn(TRANSFORMATIONS, transformation) &&
    Object.hasOwn(ROUNDINGS, rounding) &&
    numberOf(node, "antialias", 0) === 0 &&
    textOf(node, "keep_aspect_ratio_policy", "stretch") === "stretch";
  if (!isFit) refuse(node, `mode ${mode}, ${transformation}, ${rounding}`);
  const { scales } = resizedOf(node, input.dims, planner.graph);
  planner.add({
    inputs: [input],
    output,
    emit: (memory) => {
      const table = (axis: 2 | 3, step: number): number => {
        const [from, to] = [input.dims[axis], output.dims[axis]];
        const address = memory.take(ENTRY * to);
        for (let i = 0; i < to; i++) {
          const place = TRANSFORMATIONS[transformation](i, scales[axis], from, to);
          const exact = Math.min(
            from - 1,
            Math.max(0, mode === "nearest" ? ROUNDINGS[rounding](place) : place),
          );
          const first = Math.floor(exact);
          const at = (address + ENTRY * i) / 4;
          memory.words[at] = 4 * step * first;
          memory.words[at + 1] = 4 * step * Math.min(from - 1, first + 1);
          memory.floats[at + 2] = exact - first;
        }
        return address;
      };
      const [, plane, row] = stepsOf(input);
      const [, toPlane, toRow] = stepsOf(output);
      const [, planes, rows, columns] = output.dims;
      const to = [output.address, 4 * toPlane, 4 * toRow, planes, rows, columns] as const;
      return [{ kernel: "resize", args: [input.address, 4 * plane, ...to, table(2, row), table(3, 1)] }];
    },
  });
}
