/** Cases of kofn's own operators for the loss, the activation's gradient, fake quantizers and the k-of-n sampler. */

import { evaluateNode } from "../../../src/onnx/evaluate/node.js";
import { int } from "../../../src/onnx/model.js";
import { tensorFrom } from "../../../src/onnx/tensor.js";
import { opCase, type OpCase, scalar, Values } from "./case.js";

export function* trainingCases(): Generator<OpCase> {
  const values = new Values("training");
  const differentiable = [0];
  const [x, dy] = values.distinct([3, 4], [3, 4]);
  const [y] = evaluateNode(opCase("Relu", "", [x]).node, [x]);
  yield opCase("ReluGrad", "[3, 4]", [dy, y], { differentiable });
  for (const [batch, classes] of [
    [5, 3],
    [1, 10],
  ]) {
    const inputs = [values.one(batch, classes), values.whole("int64", 0, classes - 1, batch)];
    yield opCase("SoftmaxCrossEntropy", `${batch} of ${classes}`, inputs, { differentiable });
    yield opCase("SoftmaxCrossEntropyGrad", `${batch} of ${classes}`, inputs, { differentiable });
  }
  const scales = tensorFrom("float64", [3], [0.31, 0.47, 0.83]);
  const forms = [
    { about: "one scale", dims: [2, 5], scale: scalar("float64", 0.37), own: {} },
    { about: "axis 0", dims: [3, 2, 2], scale: scales, own: { axis: int(0) } },
    { about: "axis 1", dims: [4, 3], scale: scales, own: { axis: int(1) } },
    { about: "axis -1", dims: [4, 3], scale: scales, own: { axis: int(-1) } },
  ];
  for (const { about, dims, scale, own } of forms) {
    const [upstream, x] = values.distinct(dims, dims);
    for (const [low, high] of [
      [-1, 1],
      [-7, 7],
      [0, 255],
      [-128, 127],
    ]) {
      const attributes = { ...own, low: int(low), high: int(high) };
      const range = `${about}, ${low} to ${high}`;
      yield opCase("FakeQuantize", range, [x, scale], { attributes });
      yield opCase("FakeQuantizeGrad", range, [upstream, x, scale], {
        attributes,
        outputs: 2,
        differentiable,
      });
    }
    yield opCase("FakeBinarize", about, [x, scale], { attributes: own, differentiable: [1] });
    const binarized = [upstream, x, scale];
    yield opCase("FakeBinarizeGrad", about, binarized, { attributes: own, outputs: 2, differentiable });
  }
  for (const [rows, n, k] of [
    [3, 7, 3],
    [2, 5, 1],
    [2, 4, 4],
    [1, 1, 1],
  ]) {
    for (const tau of [0.1, 1.5]) {
      const [dMask, phi, noise] = values.distinct([rows, n], [rows, n], [rows, n]);
      const sampler = [phi, noise, scalar("float64", tau)];
      const attributes = { k: int(k) };
      const about = `${k} of ${n}, ${rows} rows, tau ${tau}`;
      yield opCase("KofN", about, sampler, { attributes });
      yield opCase("KofNGrad", about, [dMask, ...sampler], { attributes, differentiable });
    }
  }
}
