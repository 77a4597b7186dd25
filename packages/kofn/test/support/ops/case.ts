/** How operator cases are written down, and where their numbers come from. */

import type { HostType } from "../../../src/onnx/dtype.js";
import type { Attribute, Node } from "../../../src/onnx/model.js";
import { isKnown, type OpName } from "../../../src/onnx/ops.js";
import { sizeOf, type Tensor, tensorFrom } from "../../../src/onnx/tensor.js";
import { Random } from "../../../src/random.js";

export interface OpCase {
  readonly op: OpName;
  /** The operator and what is particular about the case; no two cases share it. */
  readonly title: string;
  /** Inputs are named x0, x1, ... ("" if left out), outputs y0, y1, ... */
  readonly node: Node;
  /** Floating-point inputs are float64; undefined for an input that is left out. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** Positions of the inputs in which the floating-point outputs are differentiable, at these values. */
  readonly differentiable: readonly number[];
}

interface CaseOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: number;
  /** Default: none. */
  readonly differentiable?: readonly number[];
}

export function opCase(
  op: OpName,
  about: string,
  inputs: readonly (Tensor | undefined)[],
  { attributes = {}, outputs = 1, differentiable = [] }: CaseOptions = {},
): OpCase {
  const node: Node = {
    op,
    domain: "",
    name: `${op} under test`,
    inputs: inputs.map((value, i) => (value === undefined ? "" : `x${i}`)),
    outputs: Array.from({ length: outputs }, (_, i) => `y${i}`),
    attributes: new Map(Object.entries(attributes)),
  };
  if (!isKnown(node)) node.domain = "kofn";
  return { op, title: `${op}: ${about}`, node, inputs, differentiable };
}

/** Numbers for one family of cases, fixed by its name. */
export class Values {
  readonly #random: Random;

  constructor(family: string) {
    this.#random = new Random(1, family);
  }

  /**
   * Tensors whose elements all differ from each other (by at least 3.4 / their number) and from 0 (by at least 0.3),
   * between -2 and 2.
   */
  distinct(...shapes: readonly (readonly number[])[]): Tensor<"float64">[] {
    const total = shapes.reduce((sum, dims) => sum + sizeOf(dims), 0);
    const order = this.#random.permutation(total);
    const grid = Float64Array.from(order, (i) => {
      const spread = (3.4 * (i + 0.5)) / total - 1.7;
      return spread + 0.3 * Math.sign(spread === 0 ? 1 : spread);
    });
    let start = 0;
    return shapes.map((dims) => {
      const values = grid.slice(start, (start += sizeOf(dims)));
      return tensorFrom("float64", dims, values);
    });
  }

  /** One tensor like those of {@link distinct}. */
  one(...dims: readonly number[]): Tensor<"float64"> {
    return this.distinct(dims)[0];
  }

  /** Uniform on [0.5, 2.5). */
  positive(...dims: readonly number[]): Tensor<"float64"> {
    return tensorFrom(
      "float64",
      dims,
      Float64Array.from({ length: sizeOf(dims) }, () => 0.5 + 2 * this.#random.uniform()),
    );
  }

  /** Whole numbers from least to most. */
  whole<T extends HostType>(dtype: T, least: number, most: number, ...dims: readonly number[]): Tensor<T> {
    const values = Array.from({ length: sizeOf(dims) }, () => least + this.#random.below(most - least + 1));
    return tensorFrom(dtype, dims, values);
  }

  bools(...dims: readonly number[]): Tensor<"bool"> {
    return this.whole("bool", 0, 1, ...dims);
  }
}

/** A list of int64. */
export function list(...values: readonly (number | bigint)[]): Tensor<"int64"> {
  return tensorFrom("int64", [values.length], values);
}

export function scalar<T extends HostType>(dtype: T, value: number): Tensor<T> {
  return tensorFrom(dtype, [], [value]);
}
