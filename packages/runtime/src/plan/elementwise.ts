/** Functions of one value and of two values, and quantization. */

import { type Fused, isPerChannel, limitsOf, normalization } from "../graph/fuse.js";
import { numberOf, refuse, textOf } from "../graph/node.js";
import type { Binary, Unary } from "../graph/operators.js";
import { type Constant, type Dims, type Graph, type Node, sizeOf } from "../graph/types.js";
import { denseSteps, stepsOf } from "./copies.js";
import type { Memory } from "./memory.js";
import { repeated } from "./movement.js";
import { NotWide, type Planner } from "./planner.js";
import { aligned, type Value } from "./value.js";

type ParametersOf = (node: Node, graph: Graph) => readonly [number, number];

/** Numbers of functions in assembly/elementwise.ts, and their two parameters. */
const FUNCTIONS: Readonly<Record<Unary, readonly [number, ParametersOf?]>> = {
  Relu: [0, limitsOf],
  Clip: [0, limitsOf],
  LeakyRelu: [1, (node) => [numberOf(node, "alpha", 0.01), 0]],
  Sigmoid: [2],
  HardSigmoid: [3, (node) => [numberOf(node, "alpha", 0.2), numberOf(node, "beta", 0.5)]],
  HardSwish: [4],
  Tanh: [5],
  Erf: [6],
  Gelu: [7],
  Elu: [9, (node) => [numberOf(node, "alpha", 1), 1]],
  Exp: [10],
  Abs: [11],
  Neg: [12],
  Sqrt: [13],
  Reciprocal: [14],
  Softsign: [15],
  Selu: [9, (node) => [numberOf(node, "alpha", 1.6732632), numberOf(node, "gamma", 1.0507009)]],
  Log: [16],
  Softplus: [17],
  Mish: [18],
  Shrink: [19, (node) => [numberOf(node, "bias", 0), numberOf(node, "lambd", 0.5)]],
};
const GELU_TANH = 8;

/** Numbers of the functions of two values there. */
const OPERATORS: Readonly<Record<Binary, number>> = {
  Add: 0,
  Sub: 1,
  Mul: 2,
  Div: 3,
  Max: 4,
  Min: 5,
  PRelu: 6,
};

/** A function of one value. */
export function unary(planner: Planner, { node, output: name }: Fused<Unary>): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const [number, parameters] = FUNCTIONS[node.op];
  const [a, b] = parameters?.(node, planner.graph) ?? [0, 0];
  const kind = node.op === "Gelu" && textOf(node, "approximate", "none") === "tanh" ? GELU_TANH : number;
  input.rows.join(output.rows);
  planner.add({
    inputs: [input],
    output,
    emit: (memory) => [
      { kernel: "unary", args: [kind, ...lying(input), ...target(planner, memory, output), a, b] },
    ],
  });
}

/** Address and plane of a value. */
const lying = ({ address, plane }: Value): [address: number, plane: number] => [address, 4 * plane];

/** What kernels are told of their result. */
function target(
  planner: Planner,
  memory: Memory,
  output: Value,
): [address: number, plane: number, planes: number, mask: number, vectors: number] {
  return [...lying(output), output.planes, planner.neededMask(memory, output), output.vectors];
}

/** One side of an operator: address, bytes from a vector to the next, bytes from a plane to the next. */
type Operand = readonly [number, number, number];

/** A function of two values. */
export function binary(planner: Planner, { node, output: name, least, most }: Fused<Binary>): void {
  const output = planner.value(name);
  if (node.inputs.length !== 2) refuse(node, `only two inputs are supported, not ${node.inputs.length}`);
  const values: Value[] = [];
  const operands = node.inputs.map((input): ((memory: Memory) => Operand) => {
    const constant = planner.constant(input);
    if (constant !== undefined) return constantOperand(node, constant, output);
    const [value, operand] = valueOperand(planner, planner.value(input), output);
    values.push(value);
    return operand;
  });
  const [first = output] = values;
  planner.add({
    inputs: values.length === 0 ? [first] : values,
    output,
    emit: (memory) => {
      const [a, b] = operands.map((operand) => operand(memory));
      const rest = target(planner, memory, output);
      return [{ kernel: "binary", args: [OPERATORS[node.op], ...a, ...b, ...rest, least, most] }];
    },
  });
}

/** The value that an operator reads in place of an operand, and how; one that does not lie as it should is repeated first. */
function valueOperand(planner: Planner, value: Value, output: Value): [Value, () => Operand] {
  const [dims, goal] = [value.dims, output.dims];
  if (sizeOf(dims) === 1 && !value.isWide) return [value, () => [value.address, 0, 0]];
  if (String(dims) === String(goal)) {
    value.rows.join(output.rows);
    return [value, () => [value.address, 16, 4 * value.plane]];
  }
  if (value.isFlat && output.isFlat && sizeOf(dims) === sizeOf(goal))
    return [value, () => [value.address, 16, 4]];
  const isImage = dims.length === 4 && goal.length === 4 && goal[0] === 1;
  if (isImage && dims[1] === goal[1] && value.isFlat) return [value, () => [value.address, 0, 4]];
  if (isImage && dims[1] === 1 && dims[2] === goal[2] && dims[3] === goal[3] && !value.isFlat) {
    value.rows.join(output.rows);
    return [value, () => [value.address, 16, 0]];
  }
  if (value.isWide || output.isWide) throw new NotWide();
  const whole = planner.temporary(`${value.name}/repeated`, goal);
  whole.rows.join(output.rows);
  planner.add({
    inputs: [value],
    output: whole,
    emit: () => repeated(dims, stepsOf(value), value.address, whole),
  });
  return [whole, () => [whole.address, 16, 4 * whole.plane]];
}

function constantOperand(node: Node, constant: Constant, output: Value): (memory: Memory) => Operand {
  const { dims, data } = constant;
  const goal = output.dims;
  if (data === undefined) return refuse(node, "a constant of a type without kernels");
  if (data.length === 1) return (memory) => [memory.floatTable(data), 0, 0];
  const isEach = isPerChannel(constant, goal) && goal[0] === 1;
  if (isEach && !output.isFlat) return (memory) => [memory.floatTable(data), 0, 4];
  if (output.isWide) throw new NotWide();
  return (memory) => {
    // All numbers of the result, lying as it does.
    const [own, steps, whole] = [denseSteps(dims), stepsOf(output), denseSteps(goal)];
    const address = memory.take(4 * aligned(output.planes * Math.max(output.plane, output.width)));
    for (let i = 0; i < sizeOf(goal); i++) {
      let [from, to] = [0, address / 4];
      for (let axis = 0; axis < goal.length; axis++) {
        const place = Math.floor(i / whole[axis]) % goal[axis];
        const at = axis - goal.length + dims.length;
        if (dims[at] > 1) from += place * own[at];
        to += place * steps[axis];
      }
      memory.floats[to] = data[from];
    }
    return [address, 16, 4 * output.plane];
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
    emit: (memory) => {
      const scaled: Operand = [input.address, 16, 4 * input.plane];
      const shifted: Operand = [output.address, 16, 4 * output.plane];
      const [by, plus, rest] = [factor(memory), term(memory), target(planner, memory, output)];
      return [
        { kernel: "binary", args: [OPERATORS.Mul, ...scaled, ...by, ...rest, -Infinity, Infinity] },
        { kernel: "binary", args: [OPERATORS.Add, ...shifted, ...plus, ...rest, least, most] },
      ];
    },
  });
}

/** Quantization of an activation, in float32. */
export function quantize(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const parameter = (key: string): number => numberOf(node, key, 0);
  input.rows.join(output.rows);
  input.gaps.join(output.gaps);
  planner.add({
    inputs: [input],
    output,
    emit: (memory) => [
      {
        kernel: "quantize",
        args: [
          input.address,
          ...target(planner, memory, output),
          parameter("scale"),
          parameter("zero"),
          parameter("least"),
          parameter("most"),
          parameter("binary"),
        ],
      },
    ],
  });
}
