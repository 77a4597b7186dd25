/** Functions of one value, of two values, quantization and softmax. */

import { type Fused, isPerChannel, limitsOf, normalization } from "../graph/fuse.js";
import { numberOf, refuse, textOf } from "../graph/node.js";
import { axisOf } from "../graph/shapes.js";
import { type Constant, type Dims, type Node, sizeOf } from "../graph/types.js";
import type { Memory } from "./memory.js";
import type { Step } from "./operation.js";
import type { Planner } from "./planner.js";
import { aligned, type Value } from "./value.js";

/** Numbers of functions in assembly/elementwise.ts, and their two parameters. */
const FUNCTIONS: Readonly<Record<string, readonly [number, ((node: Node) => readonly [number, number])?]>> = {
  LeakyRelu: [1, (node) => [numberOf(node, "alpha", 0.01), 0]],
  Sigmoid: [2],
  HardSigmoid: [3, (node) => [numberOf(node, "alpha", 0.2), numberOf(node, "beta", 0.5)]],
  HardSwish: [4],
  Tanh: [5],
  Erf: [6],
  Gelu: [7],
  Elu: [9, (node) => [numberOf(node, "alpha", 1), 0]],
  Exp: [10],
  Abs: [11],
  Neg: [12],
  Sqrt: [13],
  Reciprocal: [14],
  Softsign: [15],
};
const CLAMP = 0;
const GELU_TANH = 8;

/** Numbers of the functions of two values there. */
const OPERATORS: Readonly<Record<string, number>> = {
  Add: 0,
  Sub: 1,
  Mul: 2,
  Div: 3,
  Max: 4,
  Min: 5,
  PRelu: 6,
};

/** A function of one value. */
export function unary(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const isClamp = node.op === "Relu" || node.op === "Clip";
  const [number, parameters] = isClamp ? [CLAMP] : FUNCTIONS[node.op];
  const [a, b] = isClamp ? limitsOf(planner.graph, node) : (parameters?.(node) ?? [0, 0]);
  const kind = node.op === "Gelu" && textOf(node, "approximate", "none") === "tanh" ? GELU_TANH : number;
  input.rows.join(output.rows);
  planner.add({
    inputs: [input],
    output,
    emit: (memory) => {
      const args = [
        ...lying(input),
        ...lying(output),
        output.planes,
        planner.neededMask(memory, output),
        output.vectors,
      ];
      const { kernels } = memory;
      return () => {
        kernels.unary(kind, ...args, a, b);
      };
    },
  });
}

/** Address and plane of a value. */
const lying = ({ address, plane }: Value): [number, number] => [address, 4 * plane];

/** One side of an operator: address, bytes from a vector to the next, bytes from a plane to the next. */
type Operand = readonly [number, number, number];

/** A function of two values. */
export function binary(planner: Planner, { node, output: name, least, most }: Fused): void {
  const output = planner.value(name);
  if (node.inputs.length !== 2) refuse(node, `only two inputs are supported, not ${node.inputs.length}`);
  const values: Value[] = [];
  const operands = node.inputs.map((input): ((memory: Memory) => Operand) => {
    const constant = planner.constant(input);
    if (constant !== undefined) return constantOperand(node, constant, output);
    const value = planner.value(input);
    values.push(value);
    return valueOperand(node, value, output);
  });
  const [first = output] = values;
  planner.add({
    inputs: values.length === 0 ? [first] : values,
    output,
    emit: (memory) => {
      const [a, b] = operands.map((operand) => operand(memory));
      const mask = planner.neededMask(memory, output);
      const args = [...a, ...b, ...lying(output), output.planes, mask, output.vectors, least, most];
      const { kernels } = memory;
      return () => {
        kernels.binary(OPERATORS[node.op], ...args);
      };
    },
  });
}

function valueOperand(node: Node, value: Value, output: Value): (memory: Memory) => Operand {
  const [dims, goal] = [value.dims, output.dims];
  if (sizeOf(dims) === 1 && !value.isWide) return () => [value.address, 0, 0];
  if (String(dims) === String(goal)) {
    value.rows.join(output.rows);
    return () => [value.address, 16, 4 * value.plane];
  }
  if (value.isFlat && output.isFlat && sizeOf(dims) === sizeOf(goal)) return () => [value.address, 16, 4];
  const isImage = dims.length === 4 && goal.length === 4 && goal[0] === 1;
  if (isImage && dims[1] === goal[1] && value.isFlat) return () => [value.address, 0, 4];
  if (isImage && dims[1] === 1 && dims[2] === goal[2] && dims[3] === goal[3] && !value.isFlat) {
    value.rows.join(output.rows);
    return () => [value.address, 16, 0];
  }
  return refuse(node, `it can't be computed of [${dims.join(", ")}] for a result of [${goal.join(", ")}]`);
}

function constantOperand(node: Node, constant: Constant, output: Value): (memory: Memory) => Operand {
  const { dims, data } = constant;
  const goal = output.dims;
  if (data === undefined) return refuse(node, "a constant of a type without kernels");
  if (data.length === 1) return (memory) => [memory.floatTable(data), 0, 0];
  const isEach = isPerChannel(constant, goal) && goal[0] === 1;
  if (isEach && !output.isFlat) return (memory) => [memory.floatTable(data), 0, 4];
  if (output.isFlat && data.length === sizeOf(goal)) {
    return (memory) => [memory.floatTable(data, aligned(data.length)), 16, 4];
  }
  const whole = String(dims.slice(-3)) === String(goal.slice(-3)) && data.length === sizeOf(goal);
  if (!whole || output.isWide) {
    return refuse(node, `a constant of [${dims.join(", ")}] for a result of [${goal.join(", ")}]`);
  }
  return (memory) => {
    const { planes, height, width, row, plane } = output;
    const address = memory.take(4 * planes * plane);
    for (let line = 0; line < planes * height; line++) {
      const at = Math.floor(line / height) * plane + (line % height) * row;
      for (let i = 0; i < width; i++) memory.floats[address / 4 + at + i] = data[line * width + i];
    }
    return [address, 16, 4 * plane];
  };
}

/** Batch normalisation that no layer has taken in. */
export function batchNorm(planner: Planner, { node, output: name, least, most }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const { scale, shift } = normalization(planner.graph, node);
  const constant = (data: Float64Array): Constant => ({ dims: [data.length], data: Float32Array.from(data) });
  if (scale.length !== input.dims[1] || input.dims[0] !== 1)
    refuse(node, `${scale.length} channels for [${input.dims.join(", ")}]`);
  const channel: Dims = input.dims.map((dim, i) => (i === 1 ? dim : 1));
  const [factor, term] = [scale, shift].map((data) =>
    constantOperand(node, { ...constant(data), dims: channel }, output),
  );
  input.rows.join(output.rows);
  planner.add({
    inputs: [input],
    output,
    emit: (memory): Step => {
      const { kernels } = memory;
      const rest = [output.planes, planner.neededMask(memory, output), output.vectors];
      const scaling = [
        OPERATORS.Mul,
        input.address,
        16,
        4 * input.plane,
        ...factor(memory),
        ...lying(output),
        ...rest,
      ];
      const shifting = [
        OPERATORS.Add,
        output.address,
        16,
        4 * output.plane,
        ...term(memory),
        ...lying(output),
        ...rest,
      ];
      return () => {
        kernels.binary(...scaling, -Infinity, Infinity);
        kernels.binary(...shifting, least, most);
      };
    },
  });
}

/** Quantization of an activation, in float32. */
export function quantize(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const parameters = ["scale", "zero", "least", "most", "binary"].map((key) => numberOf(node, key, 0));
  input.rows.join(output.rows);
  input.gaps.join(output.gaps);
  planner.add({
    inputs: [input],
    output,
    emit: (memory) => {
      const mask = planner.neededMask(memory, output);
      const args = [
        input.address,
        output.address,
        4 * output.plane,
        output.planes,
        mask,
        output.vectors,
        ...parameters,
      ];
      const { kernels } = memory;
      return () => {
        kernels.quantize(...args);
      };
    },
  });
}

/** Softmax and its logarithm. */
export function softmax(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const { dims } = input;
  const axis = axisOf(node, numberOf(node, "axis", -1), dims.length);
  if (!input.isFlat && !input.isWide)
    refuse(node, `it is supported for vectors alone, not for [${dims.join(", ")}]`);
  if (input.isWide && axis === 0) refuse(node, "it can't be taken over the batch");
  input.rows.join(output.rows);
  const inner = sizeOf(dims.slice(axis + 1)) * (input.isWide ? input.width : 1);
  planner.add({
    inputs: [input],
    output,
    emit: ({ kernels }) => {
      const args = [input.address, output.address, sizeOf(dims.slice(0, axis)), dims[axis], inner];
      const isLog = Number(node.op === "LogSoftmax");
      return () => {
        kernels.softmax(...args, isLog);
      };
    },
  });
}
