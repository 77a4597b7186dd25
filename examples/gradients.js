/**
 * Builds a small ONNX graph, appends its gradients and a step of gradient descent, and runs it on stock onnxruntime:
 *
 *     node examples/gradients.js
 */

import { Builder, differentiate, encodeModelBytes, intAttribute, modelOf, printGraph } from "kofn";
import { InferenceSession, Tensor } from "onnxruntime-node";

// loss = mean((relu(x w) - target)^2)
const b = new Builder();
const x = b.input("x", "float32", [4, 3]);
const target = b.input("target", "float32", [4, 2]);
const w = b.input("w", "float32", [3, 2]);
const product = b.op("MatMul", [x, w], {}, "product");
const error = b.sub(b.op("Relu", [product], {}, "prediction"), target, "error");
const loss = b.op("ReduceMean", [b.mul(error, error)], { keepdims: intAttribute(0) }, "loss");

b.output(loss);
for (const [value, gradient] of differentiate(b, loss, [w])) {
  b.output(b.sub(value, b.mul(gradient, b.scalar(0.5, gradient)), `${value}/new`));
}
console.log(printGraph(b.graph));

const session = await InferenceSession.create(encodeModelBytes(modelOf(b.graph)));
const batch = {
  x: new Tensor("float32", [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1], [4, 3]),
  target: new Tensor("float32", [1, 0, 0, 1, 0, 0, 1, 1], [4, 2]),
};
/** @type {Tensor} */
let weights = new Tensor("float32", [0.3, 0.1, 0.1, 0.3, 0.2, 0.2], [3, 2]);
for (let step = 0; step < 5; step++) {
  const results = await session.run({ ...batch, w: weights });
  console.log(`step ${step}: loss ${Number(results.loss.data[0]).toFixed(4)}`);
  weights = results["w/new"];
}
