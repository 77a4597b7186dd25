/** Cases of the operators that work element by element. */

import { DATA_TYPES, type HostType } from "../../../src/onnx/dtype.js";
import { int } from "../../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../../src/onnx/tensor.js";
import { list, opCase, type OpCase, scalar, Values } from "./case.js";

const BROADCASTS = [
  { a: [2, 3], b: [2, 3] },
  { a: [2, 3], b: [3] },
  { a: [], b: [2, 2] },
  { a: [4, 1, 3], b: [2, 1] },
  { a: [1], b: [2, 1, 3, 1] },
  { a: [0, 3], b: [1, 3] },
] as const;

const shapeText = (dims: readonly number[]) => `[${dims.join(", ")}]`;

function* unaryCases(values: Values): Generator<OpCase> {
  const differentiable = [0];
  for (const dims of [[], [5], [2, 3, 4]]) {
    for (const op of [
      "Abs",
      "Ceil",
      "Cos",
      "Exp",
      "Floor",
      "Identity",
      "Neg",
      "Reciprocal",
      "Relu",
      "Round",
      "Sigmoid",
      "Sign",
      "Sin",
      "Tanh",
    ] as const) {
      yield opCase(op, shapeText(dims), [values.one(...dims)], { differentiable });
    }
    for (const op of ["Log", "Sqrt"] as const) {
      yield opCase(op, shapeText(dims), [values.positive(...dims)], { differentiable });
    }
    yield opCase("Not", shapeText(dims), [values.bools(...dims)]);
  }
  for (const op of ["Abs", "Neg", "Sign", "Identity"] as const) {
    yield opCase(op, "int64", [tensorFrom("int64", [4], [-(2n ** 62n) - 1n, -3n, 0n, 2n ** 60n + 1n])]);
  }
  const halves = tensorFrom("float64", [8], [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e9, -7.75]);
  for (const op of ["Ceil", "Floor", "Round"] as const) yield opCase(op, "halves", [halves]);
  const special = tensorFrom("float64", [5], [NaN, Infinity, -Infinity, 0, 1]);
  yield opCase("IsNaN", "special values", [special]);
  yield opCase("IsInf", "special values", [special]);
  yield opCase("IsInf", "positive alone", [special], { attributes: { detect_negative: int(0) } });
  yield opCase("IsInf", "negative alone", [special], { attributes: { detect_positive: int(0) } });
  yield opCase("Relu", "int32", [values.whole("int32", -5, 5, 6)]);
  const extremes = tensorFrom("float64", [6], [-800, -40, -1e-3, 1e-3, 40, 800]);
  yield opCase("Sigmoid", "extremes", [extremes], { differentiable });
  yield opCase("Tanh", "extremes", [extremes], { differentiable });
}

function* binaryCases(values: Values): Generator<OpCase> {
  for (const { a, b } of BROADCASTS) {
    const about = `${shapeText(a)} with ${shapeText(b)}`;
    const differentiable = [0, 1];
    for (const op of ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"] as const) {
      yield opCase(op, about, values.distinct(a, b), { differentiable });
    }
    yield opCase("Pow", about, [values.positive(...a), values.one(...b)], { differentiable });
    for (const op of ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"] as const) {
      yield opCase(op, about, values.distinct(a, b));
      yield opCase(op, `int64 ${about}`, [
        values.whole("int64", 0, 2, ...a),
        values.whole("int64", 0, 2, ...b),
      ]);
    }
    for (const op of ["And", "Or"] as const)
      yield opCase(op, about, [values.bools(...a), values.bools(...b)]);
    const [yes, no] = values.distinct(b, [3]);
    if (b.length > 0 && b.at(-1) !== 2) {
      yield opCase("Where", about, [values.bools(...a), yes, no], { differentiable: [1, 2] });
    }
  }
  for (const op of ["Add", "Sub", "Mul", "Div", "Max", "Min"] as const) {
    const [left, right] = [tensorFrom("int64", [4], [7n, -7n, 2n ** 55n + 1n, -9n]), list(2, 2, 3, -4)];
    yield opCase(op, "int64", [left, right]);
    yield opCase(op, "int32", [values.whole("int32", -9, 9, 3, 2), values.whole("int32", 1, 4, 2)]);
  }
  const fmod = { attributes: { fmod: int(1) } };
  const [dividends, divisors] = [list(7, -7, 7, -7, 6), list(3, 3, -3, -3, 3)];
  yield opCase("Mod", "int64", [dividends, divisors]);
  yield opCase("Mod", "int64, fmod", [dividends, divisors], fmod);
  yield opCase("Mod", "fmod", values.distinct([2, 3], [3]), fmod);
  yield opCase("Mean", "three inputs", values.distinct([2, 3], [3], [2, 1]), { differentiable: [0, 1, 2] });
  yield opCase("Max", "one input", [values.one(3)], { differentiable: [0] });
  yield opCase("Min", "three inputs", values.distinct([2, 3], [3], [2, 1]), { differentiable: [0, 1, 2] });
  yield opCase("Max", "three inputs", values.distinct([2, 3], [3], [2, 1]), { differentiable: [0, 1, 2] });
  yield opCase("Sum", "one input", [values.one(3)], { differentiable: [0] });
  yield opCase("Sum", "four inputs", values.distinct([2, 3], [3], [2, 1], []), {
    differentiable: [0, 1, 2, 3],
  });
  yield opCase("Pow", "negative base, whole exponent", [values.one(5), tensorFrom("float64", [], [3])], {
    differentiable: [0],
  });
  for (const exponent of [0, 1, 3, 0.5, -2]) {
    yield opCase("Pow", `power ${exponent}`, [values.positive(2, 3), scalar("float64", exponent)], {
      differentiable: [0],
    });
  }
  yield opCase("Pow", "powers of 0", [scalar("float64", 0), tensorFrom("float64", [3], [1, 2, 2.5])], {
    differentiable: [1],
  });
  yield opCase("Pow", "squares", [values.one(2, 3), scalar("float64", 2)], { differentiable: [0] });
  yield opCase("Pow", "int64 exponent", [values.one(4), list(0, 1, 2, 3)], { differentiable: [0] });
  yield opCase("Pow", "int64", [list(2, 3, -5, 10), list(10, 3, 2, 0)]);
  yield opCase("Where", "scalars", [values.bools(2, 3), ...values.distinct([], [])], {
    differentiable: [1, 2],
  });
  yield opCase("Where", "int64", [values.bools(4), list(1, 2, 3, 4), list(-1)]);
}

function* clipCases(values: Values): Generator<OpCase> {
  const [least, most] = [scalar("float64", -1.00037), scalar("float64", 1.00041)];
  const options = { differentiable: [0] };
  yield opCase("Clip", "no bounds", [values.one(2, 5)], options);
  yield opCase("Clip", "min", [values.one(2, 5), least], options);
  yield opCase("Clip", "max", [values.one(2, 5), undefined, most], options);
  yield opCase("Clip", "min and max", [values.one(2, 5), least, most], options);
  yield opCase("Clip", "min above max", [values.one(2, 5), most, least], options);
  yield opCase("Clip", "int64", [list(-5, 0, 5, 9), scalar("int64", -1), scalar("int64", 6)]);
}

function castCase(from: Tensor, to: HostType, differentiable: readonly number[] = []): OpCase {
  const attributes = { to: int(DATA_TYPES[to].code) };
  return opCase("Cast", `${from.dtype} to ${to}`, [from], { attributes, differentiable });
}

function* castCases(values: Values): Generator<OpCase> {
  const small = values.whole("int64", 0, 100, 2, 3);
  const [real] = values.distinct([2, 3]);
  for (const to of ["float32", "float64", "int32", "bool", "uint8", "int8"] as const)
    yield castCase(small, to);
  for (const to of ["int64", "int32", "bool"] as const) yield castCase(real, to);
  yield castCase(real, "float64", [0]);
  yield castCase(values.bools(4), "int64");
  yield castCase(values.bools(4), "float32");
  yield castCase(values.whole("uint8", 0, 255, 5), "int64");
}

function* dropoutCases(values: Values): Generator<OpCase> {
  const differentiable = [0];
  yield opCase("Dropout", "default", [values.one(2, 3)], { differentiable });
  yield opCase("Dropout", "ratio and mask", [values.one(2, 3), scalar("float64", 0.7)], {
    outputs: 2,
    differentiable,
  });
  const off = tensorFrom("bool", [], [0]);
  yield opCase("Dropout", "not training", [values.one(4), scalar("float64", 0.7), off], { differentiable });
}

export function* elementwiseCases(): Generator<OpCase> {
  const values = new Values("elementwise");
  yield* unaryCases(values);
  yield* binaryCases(values);
  yield* clipCases(values);
  yield* castCases(values);
  yield* dropoutCases(values);
}
