/** Cases of the operators that work along axes. */

import { int } from "../../../src/onnx/model.js";
import type { OpName } from "../../../src/onnx/ops.js";
import { tensorFrom } from "../../../src/onnx/tensor.js";
import { list, opCase, type OpCase, scalar, Values } from "./case.js";

const first = { differentiable: [0] };

const REDUCTIONS = [
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceProd",
  "ReduceSum",
  "ReduceSumSquare",
] as const;

const FLOAT_ONLY: readonly OpName[] = ["ReduceL2", "ReduceLogSum", "ReduceLogSumExp"];

function* reductionCases(values: Values): Generator<OpCase> {
  for (const op of REDUCTIONS) {
    const one = (...dims: number[]) =>
      op === "ReduceLogSum" ? values.positive(...dims) : values.one(...dims);
    for (const keep of [0, 1]) {
      const options = { ...first, attributes: { keepdims: int(keep) } };
      for (const axes of [[0], [-1], [0, 2], [1, -3]]) {
        const about = `axes [${axes.join(", ")}], keepdims ${keep}`;
        yield opCase(op, about, [one(2, 3, 4), list(...axes)], options);
      }
      yield opCase(op, `no axes, keepdims ${keep}`, [one(2, 3)], options);
      yield opCase(op, `empty axes, keepdims ${keep}`, [one(2, 3), list()], options);
    }
    const noop = { noop_with_empty_axes: int(1) };
    yield opCase(op, "empty axes do nothing", [one(2, 3), list()], { ...first, attributes: noop });
    yield opCase(op, "missing axes do nothing", [one(2, 3)], { ...first, attributes: noop });
    yield opCase(op, "a scalar", [one()], first);
    if (FLOAT_ONLY.includes(op)) continue;
    yield opCase(op, "int64", [values.whole("int64", -9, 9, 3, 4), list(1)]);
    yield opCase(op, "int32", [values.whole("int32", -9, 9, 3, 4), list(0)]);
  }
  const zeros = tensorFrom("float64", [3, 3], [0.5, 2, -3, 0, 2, 3, 0, 4, 0]);
  yield opCase("ReduceProd", "zeros", [zeros, list(1)], first);
  yield opCase("ReduceLogSumExp", "large values", [tensorFrom("float64", [3], [-500, 200, 201])], first);
  yield opCase("ReduceL2", "zeros", [tensorFrom("float64", [2, 2], [0, 0, 3, -4]), list(1)]);
  yield opCase("ReduceSum", "large int64", [list(2n ** 60n, 1, 2)]);
  yield opCase("ReduceSum", "nothing", [values.one(0, 3), list(0)], first);
}

function* softmaxCases(values: Values): Generator<OpCase> {
  for (const op of ["Softmax", "LogSoftmax"] as const) {
    for (const axis of [0, 1, -1]) {
      const options = { ...first, attributes: { axis: int(axis) } };
      yield opCase(op, `axis ${axis}`, [values.one(3, 2, 5)], options);
    }
    yield opCase(op, "default axis", [values.one(2, 4)], first);
    yield opCase(op, "large values", [tensorFrom("float64", [3], [-500, 200, 201])], first);
  }
}

function* orderCases(values: Values): Generator<OpCase> {
  const ties = tensorFrom("float64", [2, 5], [1, 3, 3, 2, 3, 0, 0, 0, 0, 0]);
  for (const axis of [0, 1, -1]) {
    for (const keep of [0, 1]) {
      const attributes = { axis: int(axis), keepdims: int(keep) };
      for (const op of ["ArgMax", "ArgMin"] as const) {
        yield opCase(op, `axis ${axis}, keepdims ${keep}`, [values.one(3, 4, 2)], { attributes });
      }
    }
    for (const largest of [0, 1]) {
      const attributes = { axis: int(axis), largest: int(largest) };
      const about = `axis ${axis}, largest ${largest}`;
      yield opCase("TopK", about, [values.one(3, 4, 2), list(2)], { ...first, attributes, outputs: 2 });
    }
    for (const exclusive of [0, 1]) {
      for (const reverse of [0, 1]) {
        const attributes = { exclusive: int(exclusive), reverse: int(reverse) };
        const about = `axis ${axis}, exclusive ${exclusive}, reverse ${reverse}`;
        yield opCase("CumSum", about, [values.one(2, 3, 4), scalar("int64", axis)], { ...first, attributes });
      }
    }
  }
  for (const last of [0, 1]) {
    const attributes = { axis: int(1), select_last_index: int(last) };
    for (const op of ["ArgMax", "ArgMin"] as const) {
      yield opCase(op, `ties, select_last_index ${last}`, [ties], { attributes });
    }
  }
  yield opCase("TopK", "ties", [ties, list(3)], { outputs: 2 });
  yield opCase("TopK", "smallest with ties", [ties, list(3)], {
    attributes: { largest: int(0) },
    outputs: 2,
  });
  yield opCase("TopK", "all", [values.one(2, 5), list(5)], { ...first, outputs: 2 });
  yield opCase("TopK", "int64", [list(4, 9, 4, 1), list(2)], { outputs: 2 });
  yield opCase("CumSum", "int64", [list(1, 2, 2n ** 60n), tensorFrom("int32", [], [0])]);
}

export function* reduceCases(): Generator<OpCase> {
  const values = new Values("reduce");
  yield* reductionCases(values);
  yield* softmaxCases(values);
  yield* orderCases(values);
}
