/** Cases of matrix products. */

import { float, int } from "../../../src/onnx/model.js";
import { opCase, type OpCase, Values } from "./case.js";

const MATMULS: readonly (readonly [a: readonly number[], b: readonly number[]])[] = [
  [
    [2, 3],
    [3, 4],
  ],
  [[3], [3]],
  [[3], [3, 2]],
  [[2, 3], [3]],
  [
    [2, 2, 3],
    [3, 2],
  ],
  [
    [2, 3],
    [4, 3, 2],
  ],
  [
    [2, 1, 2, 3],
    [3, 3, 2],
  ],
  [[3], [2, 3, 2]],
  [[2, 2, 3], [3]],
  [
    [1, 2, 3],
    [4, 3, 1],
  ],
];

export function* productCases(): Generator<OpCase> {
  const values = new Values("product");
  for (const [a, b] of MATMULS) {
    const about = `[${a.join(", ")}] x [${b.join(", ")}]`;
    yield opCase("MatMul", about, values.distinct(a, b), { differentiable: [0, 1] });
  }
  yield opCase("MatMul", "int64", [values.whole("int64", -4, 4, 2, 3), values.whole("int64", -4, 4, 3, 2)]);
  for (const transA of [0, 1]) {
    for (const transB of [0, 1]) {
      const a = transA === 0 ? [2, 3] : [3, 2];
      const b = transB === 0 ? [3, 4] : [4, 3];
      const attributes = { transA: int(transA), transB: int(transB) };
      const about = `transA ${transA}, transB ${transB}`;
      yield opCase("Gemm", about, values.distinct(a, b), { attributes, differentiable: [0, 1] });
      const scaled = { ...attributes, alpha: float(0.5), beta: float(-1.5) };
      for (const bias of [[], [1], [4], [1, 4], [2, 1], [2, 4]]) {
        yield opCase(
          "Gemm",
          `${about}, alpha, beta, bias [${bias.join(", ")}]`,
          values.distinct(a, b, bias),
          {
            attributes: scaled,
            differentiable: [0, 1, 2],
          },
        );
      }
    }
  }
  yield opCase("Gemm", "bias without attributes", values.distinct([2, 3], [3, 4], [4]), {
    differentiable: [0, 1, 2],
  });
}
