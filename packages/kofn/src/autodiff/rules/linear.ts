/** Gradients of matrix products and convolutions. */

import { float, getFloat, getInt, int, ints } from "../../onnx/model.js";
import { InputError } from "../../errors.js";
import { transposedWindow } from "../../onnx/infer/window.js";
import type { Attributes, Builder } from "../../onnx/builder.js";
import type { RuleContext } from "../rule.js";

type Grads = (string | undefined)[];

// Y = alpha A' B' + beta C, where ' transposes if asked
export function gemm({ b, node, inputs: [a, w], dY, wants, gradName }: RuleContext): Grads {
  const alpha = float(getFloat(node, "alpha", 1));
  const beta = getFloat(node, "beta", 1);
  const [transA, transB] = [getInt(node, "transA", 0), getInt(node, "transB", 0)];
  const product = (left: string, right: string, tA: number, tB: number, name: string): string =>
    b.op("Gemm", [left, right], { alpha, transA: int(tA), transB: int(tB) }, name);
  // dA = alpha dY B'^T, or its transpose B' dY^T
  const dA = () =>
    transA === 0 ? product(dY, w, 0, 1 - transB, gradName(0)) : product(w, dY, transB, 1, gradName(0));
  // dB = alpha A'^T dY, or its transpose dY^T A'
  const dB = () =>
    transB === 0 ? product(a, dY, 1 - transA, 0, gradName(1)) : product(dY, a, 1, transA, gradName(1));
  const dC = () => (beta === 1 ? dY : b.mul(dY, b.scalar(beta, dY), gradName(2)));
  return [wants(0) ? dA() : undefined, wants(1) ? dB() : undefined, wants(2) ? dC() : undefined];
}

// Y = A B, batched and broadcast as numpy does
export function matMul({ b, inputs: [a, w], dY, wants, gradName }: RuleContext): Grads {
  const [aDims, wDims] = [b.shape(a), b.shape(w)];
  // A vector is a matrix of one row (left) or one column (right), so that there is one case alone.
  const left = aDims.length === 1 ? b.reshape(a, [1, aDims[0]]) : a;
  const right = wDims.length === 1 ? b.reshape(w, [wDims[0], 1]) : w;
  const batch = b
    .shape(dY)
    .slice(0, b.shape(dY).length - (aDims.length === 1 ? 0 : 1) - (wDims.length === 1 ? 0 : 1));
  const rows = aDims.length === 1 ? 1 : aDims[aDims.length - 2];
  const columns = wDims.length === 1 ? 1 : wDims[wDims.length - 1];
  const full = aDims.length === 1 || wDims.length === 1 ? b.reshape(dY, [...batch, rows, columns]) : dY;
  const swap = (value: string): string => {
    const rank = b.shape(value).length;
    const perm = Array.from({ length: rank }, (_, i) => i);
    [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
    return b.transpose(value, perm);
  };
  // dA = dY B^T
  const dA = () => {
    const grad = b.op("MatMul", [full, swap(right)], {}, gradName(0));
    return aDims.length === 1 ? b.reshape(sumLeading(grad), aDims) : grad;
  };
  // dB = A^T dY; a weight without batch dimensions gathers the whole batch in one product
  const dB = () => {
    if (wDims.length === 2 && aDims.length > 2) {
      const flatA = b.reshape(a, [-1, aDims[aDims.length - 1]]);
      const flatY = b.reshape(dY, [-1, columns]);
      return b.op("Gemm", [flatA, flatY], { transA: int(1) }, gradName(1));
    }
    const grad = b.op("MatMul", [swap(left), full], {}, gradName(1));
    return wDims.length === 1 ? b.reshape(sumLeading(grad), wDims) : grad;
  };
  const sumLeading = (value: string): string => {
    const leading = b.shape(value).length - 2;
    return leading === 0
      ? value
      : b.sum(
          value,
          Array.from({ length: leading }, (_, i) => i),
          false,
        );
  };
  return [wants(0) ? dA() : undefined, wants(1) ? dB() : undefined];
}

// Y = X * W + bias: dX and dW are convolutions of their own, which lowering chooses
export function conv({ b, node, inputs: [x, w], dY, wants, gradName }: RuleContext): Grads {
  const own: Attributes = Object.fromEntries(node.attributes);
  const dX = () => b.op("ConvGradInput", [dY, w], { ...own, input_shape: ints(b.shape(x)) }, gradName(0));
  const dW = () =>
    b.op("ConvGradWeight", [dY, x], { ...own, kernel_shape: ints(b.shape(w).slice(2)) }, gradName(1));
  const dBias = () => sumPerChannel(b, dY, gradName(2));
  return [wants(0) ? dX() : undefined, wants(1) ? dW() : undefined, wants(2) ? dBias() : undefined];
}

// Y = X *^T W + bias, the gradient of a convolution with the filters W: dX is that convolution of dY, and dW is its dW
// with the parts of image and gradient exchanged.
export function convTranspose({ b, node, inputs: [x, w], dY, wants, gradName }: RuleContext): Grads {
  const kernel = b.shape(w).slice(2);
  const { strides, dilations, padsBegin, padsEnd } = transposedWindow(node, b.shape(x).slice(2), kernel);
  const own: Attributes = {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints([...padsBegin, ...padsEnd]),
    group: int(getInt(node, "group", 1)),
  };
  const dX = () => b.op("Conv", [dY, w], own, gradName(0));
  const dW = () => b.op("ConvGradWeight", [x, dY], own, gradName(1));
  return [
    wants(0) ? dX() : undefined,
    wants(1) ? dW() : undefined,
    wants(2) ? sumPerChannel(b, dY, gradName(2)) : undefined,
  ];
}

function sumPerChannel(b: Builder, dY: string, name: string): string {
  const axes = b.shape(dY).flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  return b.sum(dY, axes, false, name);
}

export function maxPool({ b, node, inputs: [x], outputs: [y], dOutputs, gradName }: RuleContext): Grads {
  const [dY] = dOutputs;
  if (dY === undefined) throw new InputError(`node "${node.name}" (MaxPool): its indices have no gradient`);
  return [b.op("MaxPoolGrad", [dY, x, y], Object.fromEntries(node.attributes), gradName(0))];
}

export function averagePool({ b, node, inputs: [x], dY, gradName }: RuleContext): Grads {
  const attributes = { ...Object.fromEntries(node.attributes), input_shape: ints(b.shape(x)) };
  return [b.op("AveragePoolGrad", [dY], attributes, gradName(0))];
}
