/** Cases of the operators that normalise. */

import { float, int } from "../../../src/onnx/model.js";
import { tensorFrom } from "../../../src/onnx/tensor.js";
import { opCase, type OpCase, Values } from "./case.js";

function* layerCases(values: Values): Generator<OpCase> {
  for (const axis of [-1, 1, 0]) {
    const x = [2, 3, 4];
    const scale = x.slice(axis);
    for (const outputs of [1, 2, 3]) {
      const attributes = { axis: int(axis), epsilon: float(0.25) };
      yield opCase(
        "LayerNormalization",
        `axis ${axis}, ${outputs} outputs`,
        values.distinct(x, scale, scale),
        {
          attributes,
          outputs,
          differentiable: [0, 1, 2],
        },
      );
    }
    yield opCase("LayerNormalization", `axis ${axis}, no bias`, values.distinct(x, scale), {
      attributes: { axis: int(axis) },
      differentiable: [0, 1],
    });
  }
  yield opCase("LayerNormalization", "no attributes", values.distinct([3, 5], [5], [5]), {
    differentiable: [0, 1, 2],
  });
}

function* channelCases(values: Values): Generator<OpCase> {
  const differentiable = [0, 1, 2];
  for (const x of [
    [2, 4, 5],
    [2, 4, 3, 2],
    [1, 4, 2, 2, 2],
  ]) {
    const about = `${x.length - 2}-D`;
    const inputs = () => values.distinct(x, [4], [4]);
    yield opCase("InstanceNormalization", about, inputs(), { differentiable });
    yield opCase("InstanceNormalization", `${about}, epsilon`, inputs(), {
      attributes: { epsilon: float(0.25) },
      differentiable,
    });
    for (const groups of [1, 2, 4]) {
      yield opCase("GroupNormalization", `${about}, ${groups} groups`, inputs(), {
        attributes: { num_groups: int(groups), epsilon: float(0.125) },
        differentiable,
      });
    }
  }
}

export function* normalizationCases(): Generator<OpCase> {
  const values = new Values("normalization");
  const differentiable = [0];
  yield* layerCases(values);
  yield* channelCases(values);
  for (const size of [1, 3, 4, 5]) {
    const attributes = { size: int(size), alpha: float(0.5), beta: float(0.625), bias: float(1.5) };
    for (const x of [
      [1, 3, 2, 2],
      [2, 6, 3, 2],
    ]) {
      const about = `size ${size}, ${x[1]} channels`;
      yield opCase("LRN", about, [values.one(...x)], { attributes, differentiable });
    }
  }
  yield opCase("LRN", "default attributes", [values.one(1, 4, 2, 3)], {
    attributes: { size: int(3) },
    differentiable,
  });
  for (const p of [1, 2]) {
    for (const axis of [0, 1, -1]) {
      const attributes = { p: int(p), axis: int(axis) };
      const about = `p ${p}, axis ${axis}`;
      yield opCase("LpNormalization", about, [values.one(3, 4, 2)], { attributes, differentiable });
    }
    const zeros = tensorFrom("float64", [2, 2], [0, 0, 3, -4]);
    yield opCase("LpNormalization", `p ${p}, a row of zeros`, [zeros], { attributes: { p: int(p) } });
  }
}
