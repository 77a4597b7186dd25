/** Cases of the operators that move blocks between depth and space, repeat tensors, and read or write by index tuples. */

import { DATA_TYPES } from "../../../src/onnx/dtype.js";
import { int, string } from "../../../src/onnx/model.js";
import { tensorFrom } from "../../../src/onnx/tensor.js";
import { list, opCase, type OpCase, scalar, Values } from "./case.js";

const first = { differentiable: [0] };

function* blockCases(values: Values): Generator<OpCase> {
  for (const size of [1, 2, 3]) {
    const blocksize = int(size);
    yield opCase("SpaceToDepth", `blocksize ${size}`, [values.one(2, 2, 2 * size, 3 * size)], {
      ...first,
      attributes: { blocksize },
    });
    for (const mode of ["DCR", "CRD"]) {
      yield opCase("DepthToSpace", `blocksize ${size}, ${mode}`, [values.one(2, 2 * size * size, 2, 3)], {
        ...first,
        attributes: { blocksize, mode: string(mode) },
      });
    }
  }
  yield opCase("DepthToSpace", "default mode", [values.one(1, 8, 2, 1)], {
    ...first,
    attributes: { blocksize: int(2) },
  });
}

function* indexCases(values: Values): Generator<OpCase> {
  const pairs = tensorFrom("int64", [3, 2], [0, 1, -1, 2, 0, 1]);
  yield opCase("GatherND", "elements", [values.one(2, 3), pairs], first);
  yield opCase("GatherND", "slices", [values.one(2, 3, 2), pairs], first);
  yield opCase("GatherND", "rows", [values.one(3, 4), tensorFrom("int64", [2, 2, 1], [0, 2, -3, 1])], first);
  yield opCase("GatherND", "batch_dims", [values.one(2, 3, 2), tensorFrom("int64", [2, 1], [1, -1])], {
    ...first,
    attributes: { batch_dims: int(1) },
  });
  yield opCase("GatherND", "int64", [list(4, 5, 6), tensorFrom("int64", [1, 1], [2])]);
  const offOn = tensorFrom("float64", [2], [-0.5, 2]);
  for (const axis of [0, 1, -1]) {
    const indices = values.whole("int64", -4, 3, 2, 3);
    yield opCase("OneHot", `axis ${axis}`, [indices, scalar("int64", 4), offOn], {
      attributes: { axis: int(axis) },
    });
  }
  yield opCase("OneHot", "out of range", [list(-5, 4, 3, 0), list(4), list(0, 1)]);
  const matrix = () => values.one(3, 4);
  yield opCase("EyeLike", "default", [matrix()]);
  yield opCase("EyeLike", "a lower diagonal", [matrix()], { attributes: { k: int(-1) } });
  yield opCase("EyeLike", "int64", [matrix()], {
    attributes: { k: int(2), dtype: int(DATA_TYPES.int64.code) },
  });
}

export function* rearrangeCases(): Generator<OpCase> {
  const values = new Values("rearrange");
  yield* blockCases(values);
  yield* indexCases(values);
  for (const repeats of [
    [1, 1],
    [2, 3],
    [1, 4],
    [0, 2],
  ]) {
    yield opCase("Tile", `[${repeats.join(", ")}]`, [values.one(2, 3), list(...repeats)], first);
  }
  yield opCase("Tile", "int64", [list(1, 2), list(2)]);
}
