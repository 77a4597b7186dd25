/** Cases of the operators that select, join, repeat and rearrange elements, or make them. */

import { float, int, ints, string, tensorAttribute } from "../../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../../src/onnx/tensor.js";
import { list, opCase, type OpCase, scalar, Values } from "./case.js";

const SMALLEST = -(2n ** 63n);
const LARGEST = 2n ** 63n - 1n;
const first = { differentiable: [0] };

function* joinCases(values: Values): Generator<OpCase> {
  for (const axis of [0, 1, -1]) {
    const shapes = [1, 4, 0, 2].map((size) => [2, 3, 2].with(axis, size));
    yield opCase("Concat", `axis ${axis}`, values.distinct(...shapes), {
      attributes: { axis: int(axis) },
      differentiable: [0, 1, 2, 3],
    });
  }
  yield opCase("Concat", "one input", [values.one(2, 2)], { ...first, attributes: { axis: int(0) } });
  yield opCase("Concat", "int64", [list(1, 2), list(3)], { attributes: { axis: int(0) } });
  yield opCase("Split", "parts", [values.one(3, 7), list(2, 0, 5)], {
    ...first,
    attributes: { axis: int(-1) },
    outputs: 3,
  });
  yield opCase("Split", "equal parts", [values.one(4, 3)], {
    ...first,
    attributes: { num_outputs: int(2) },
    outputs: 2,
  });
  yield opCase("Split", "a smaller last part", [values.one(2, 7)], {
    ...first,
    attributes: { axis: int(1), num_outputs: int(3) },
    outputs: 3,
  });
}

function* shapeCases(values: Values): Generator<OpCase> {
  const x = () => values.one(2, 3, 4);
  for (const shape of [[4, 6], [-1], [0, -1], [2, -1, 2, 1], [0, 0, 4]]) {
    yield opCase("Reshape", `to [${shape.join(", ")}]`, [x(), list(...shape)], first);
  }
  yield opCase("Reshape", "to a scalar", [values.one(1, 1), tensorFrom("int64", [0], [])], first);
  yield opCase("Reshape", "allowzero", [values.one(0, 3), list(3, 0)], {
    ...first,
    attributes: { allowzero: int(1) },
  });
  for (const axis of [0, 1, 2, 3, -1]) {
    yield opCase("Flatten", `axis ${axis}`, [x()], { ...first, attributes: { axis: int(axis) } });
  }
  yield opCase("Flatten", "default axis", [x()], first);
  yield opCase("Squeeze", "all", [values.one(1, 3, 1)], first);
  yield opCase("Squeeze", "axes", [values.one(1, 3, 1), list(-1)], first);
  yield opCase("Unsqueeze", "axes", [values.one(3, 2), list(0, -1)], first);
  yield opCase("Unsqueeze", "of a scalar", [scalar("float64", 3), list(0)], first);
  yield opCase("Transpose", "default", [x()], first);
  yield opCase("Transpose", "perm", [x()], { ...first, attributes: { perm: ints([1, 2, 0]) } });
  yield opCase("Transpose", "int64", [values.whole("int64", 0, 9, 2, 3)]);
  yield opCase("Expand", "more axes", [values.one(3, 1), list(2, 1, 4)], first);
  yield opCase("Expand", "fewer axes", [x(), list(1)], first);
  yield opCase("Shape", "all", [x()]);
  yield opCase("Shape", "part", [x()], { attributes: { start: int(-2), end: int(-1) } });
  yield opCase("Shape", "beyond", [x()], { attributes: { start: int(1), end: int(9) } });
}

function* makingCases(): Generator<OpCase> {
  const value = tensorFrom("float32", [2, 2], [1, 2, 3, 4]);
  yield opCase("Constant", "tensor", [], { attributes: { value: tensorAttribute(value) } });
  yield opCase("Constant", "int", [], { attributes: { value_int: int(-7) } });
  yield opCase("Constant", "ints", [], { attributes: { value_ints: ints([1, 2, 3]) } });
  yield opCase("Constant", "float", [], { attributes: { value_float: float(0.5) } });
  yield opCase("Constant", "floats", [], {
    attributes: { value_floats: { kind: "floats", value: [0.5, 1.5] } },
  });
  yield opCase("ConstantOfShape", "default", [list(2, 3)]);
  yield opCase("ConstantOfShape", "int64", [list(3)], { attributes: { value: tensorAttribute(list(7)) } });
  yield opCase("ConstantOfShape", "scalar", [tensorFrom("int64", [0], [])]);
  for (const [start, limit, delta] of [
    [2, 9, 3],
    [5, -4, -2],
    [3, 3, 1],
  ]) {
    const scalars = (dtype: "int64" | "float64") => [start, limit, delta].map((x) => scalar(dtype, x));
    yield opCase("Range", `int64 ${start} to ${limit} by ${delta}`, scalars("int64"));
    yield opCase("Range", `${start} to ${limit} by ${delta}`, scalars("float64"));
  }
}

function* sliceCases(values: Values): Generator<OpCase> {
  const slices: [string, ...(Tensor | undefined)[]][] = [
    ["starts and ends", list(1, 0), list(3, 2)],
    ["to the end", list(1), list(LARGEST), list(1)],
    ["negative", list(-3), list(-1), list(-2)],
    ["steps", list(0, 1), list(4, 6), list(0, 1), list(2, 3)],
    ["reversed", list(-1), list(SMALLEST), list(0), list(-1)],
    ["reversed by 2", list(4), list(0), list(1), list(-2)],
    ["out of range", list(2), list(100), list(1)],
    ["reversed, out of range", list(100), list(-100), list(1), list(-3)],
    ["empty", list(3), list(1), list(0)],
    ["steps without axes", list(0, 5), list(4, 0), undefined, list(3, -2)],
  ];
  for (const [about, ...rest] of slices) yield opCase("Slice", about, [values.one(4, 6), ...rest], first);
  yield opCase("Slice", "int64", [list(1, 2, 3, 4), list(1), list(3)]);
}

function* padCases(values: Values): Generator<OpCase> {
  const mode = (name: string) => ({ ...first, attributes: { mode: string(name) } });
  const x = () => values.one(3, 4);
  yield opCase("Pad", "constant", [x(), list(1, 0, 2, 3)], first);
  yield opCase("Pad", "constant value", [x(), list(0, 2, 1, 0), scalar("float64", 7)], {
    differentiable: [0, 2],
  });
  yield opCase("Pad", "axes", [x(), list(1, 2), scalar("float64", -1), list(-1)], { differentiable: [0, 2] });
  yield opCase("Pad", "axes without a value", [x(), list(1, 2), undefined, list(0)], first);
  yield opCase("Pad", "negative", [x(), list(-1, 2, 0, -3)], first);
  yield opCase("Pad", "reflect", [x(), list(2, 1, 1, 3)], mode("reflect"));
  yield opCase("Pad", "edge", [x(), list(2, 1, 0, 5)], mode("edge"));
  yield opCase("Pad", "wrap", [x(), list(2, 1, 0, 3)], mode("wrap"));
  yield opCase("Pad", "reflect, axes", [x(), list(3, 2), undefined, list(-1)], mode("reflect"));
  yield opCase("Pad", "edge, negative", [x(), list(-1, 2, 1, -2)], mode("edge"));
  yield opCase("Pad", "edge, 4-D", [values.one(1, 2, 3, 2), list(0, 0, 1, 2, 0, 0, 2, 1)], mode("edge"));
  yield opCase("Pad", "int64", [list(1, 2), list(1, 2), scalar("int64", 9)]);
}

function* gatherCases(values: Values): Generator<OpCase> {
  for (const axis of [0, 1, -1]) {
    const options = { ...first, attributes: { axis: int(axis) } };
    yield opCase(
      "Gather",
      `axis ${axis}`,
      [values.one(3, 4, 3), tensorFrom("int64", [2, 2], [0, -1, 2, 2])],
      options,
    );
  }
  yield opCase("Gather", "scalar index", [values.one(3, 4), scalar("int64", -2)], first);
  yield opCase("Gather", "one index, two axes", [values.one(3, 4), tensorFrom("int64", [1, 1], [2])], {
    ...first,
    attributes: { axis: int(1) },
  });
  yield opCase("Gather", "int32 indices of int64", [list(5, 6, 7), tensorFrom("int32", [2], [2, 0])]);
  for (const axis of [0, -1]) {
    const options = { ...first, attributes: { axis: int(axis) } };
    const indices = values.whole("int64", -3, 2, 2, 3);
    yield opCase("GatherElements", `axis ${axis}`, [values.one(3, 3), indices], options);
  }
  const columns = tensorFrom("int64", [2, 3], [0, 2, 1, -1, -4, 1]);
  for (const reduction of ["none", "add", "mul", "max", "min"]) {
    const [data, updates] = values.distinct([3, 4], [2, 3]);
    yield opCase("ScatterElements", reduction, [data, columns, updates], {
      attributes: { axis: int(1), reduction: string(reduction) },
      differentiable: [0, 2],
    });
  }
  const repeated = tensorFrom("int64", [4], [1, 1, -1, 1]);
  for (const reduction of ["add", "mul", "max", "min"]) {
    const [data, updates] = values.distinct([3], [4]);
    yield opCase("ScatterElements", `${reduction}, repeated indices`, [data, repeated, updates], {
      attributes: { reduction: string(reduction) },
      differentiable: [0, 2],
    });
  }
  yield opCase("ScatterElements", "int64", [list(1, 2, 3), list(2), list(9)]);
}

export function* movementCases(): Generator<OpCase> {
  const values = new Values("movement");
  yield* joinCases(values);
  yield* shapeCases(values);
  yield* makingCases();
  yield* sliceCases(values);
  yield* padCases(values);
  yield* gatherCases(values);
}
