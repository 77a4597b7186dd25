/** Cases of Resize: what is near and what is between, for every way to lay coordinates. */

import { ints, string } from "../../../src/onnx/model.js";
import { tensorFrom } from "../../../src/onnx/tensor.js";
import { list, opCase, type OpCase, Values } from "./case.js";

export function* resizeCases(): Generator<OpCase> {
  const values = new Values("resize");
  const first = { differentiable: [0] };
  const image = () => values.one(2, 2, 4, 5);
  const none = undefined;
  const spatial = ints([2, 3]);
  const coordinates = [
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
  ];
  for (const mode of ["nearest", "linear"]) {
    for (const coordinate of coordinates) {
      for (const sizes of [
        [8, 10],
        [7, 4],
        [1, 1],
      ]) {
        yield opCase(
          "Resize",
          `${mode}, ${coordinate}, to ${sizes.join("x")}`,
          [image(), none, none, list(...sizes)],
          {
            ...first,
            attributes: {
              axes: spatial,
              mode: string(mode),
              coordinate_transformation_mode: string(coordinate),
              // Away from places that lie exactly between two elements, where rounding decides.
              nearest_mode: string("floor"),
            },
          },
        );
      }
    }
    for (const scales of [
      [2, 2],
      [0.5, 3],
      [1.5, 0.8],
    ]) {
      const factors = tensorFrom("float64", [2], scales);
      yield opCase("Resize", `${mode}, by ${scales.join("x")}`, [image(), none, factors], {
        ...first,
        attributes: { axes: spatial, mode: string(mode), nearest_mode: string("ceil") },
      });
    }
    yield opCase("Resize", `${mode}, all axes`, [image(), none, tensorFrom("float64", [4], [1, 1, 2, 2])], {
      ...first,
      attributes: { mode: string(mode) },
    });
  }
  for (const nearest of ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]) {
    yield opCase("Resize", nearest, [values.one(1, 1, 3, 4), none, none, list(6, 2)], {
      ...first,
      attributes: {
        axes: spatial,
        nearest_mode: string(nearest),
        coordinate_transformation_mode: string("asymmetric"),
      },
    });
  }
  yield opCase("Resize", "of a first axis", [values.one(3, 4), none, none, list(6)], {
    ...first,
    attributes: { axes: ints([0]) },
  });
  yield opCase("Resize", "to the same size", [values.one(1, 2, 3, 4), none, none, list(3, 4)], {
    ...first,
    attributes: { axes: spatial, mode: string("linear") },
  });
}
