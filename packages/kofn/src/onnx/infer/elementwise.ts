/** Shapes of the operators that work element by element, with broadcasting. */

import { dataTypeOfCode } from "../dtype.js";
import { getInt } from "../model.js";
import {
  broadcastShapes,
  fail,
  floatInput,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  mergeDim,
  normalizeAxis,
  sameType,
  typedInput,
} from "./support.js";

const likeInput: InferRule = (context) => [inputType(context, 0)];
const likeFloatInput: InferRule = (context) => [floatInput(context)];

function allInputs({ inputs }: InferContext): number[] {
  return inputs.map((_, index) => index);
}

function broadcastInputs(context: InferContext) {
  return broadcastShapes(
    context.node,
    context.inputs.map((_, index) => inputType(context, index).shape),
  );
}

const arithmetic: InferRule = (context) => {
  const dtype = sameType(context, allInputs(context));
  if (dtype === "bool" || dtype === "string") fail(context.node, `can't compute with ${dtype} tensors`);
  return [{ dtype, shape: broadcastInputs(context) }];
};

const comparison: InferRule = (context) => {
  sameType(context, [0, 1]);
  return [{ dtype: "bool", shape: broadcastInputs(context) }];
};

const logical: InferRule = (context) => {
  for (const index of allInputs(context)) typedInput(context, index, "bool");
  return [{ dtype: "bool", shape: broadcastInputs(context) }];
};

const classification: InferRule = (context) => [{ dtype: "bool", shape: floatInput(context).shape }];

const softmax: InferRule = (context) => {
  const type = floatInput(context);
  if (type.shape !== undefined)
    normalizeAxis(context.node, getInt(context.node, "axis", -1), type.shape.length);
  return [type];
};

export const elementwise = {
  Abs: likeInput,
  Add: arithmetic,
  And: logical,
  Cast: (context) => {
    const code = getInt(context.node, "to", 0);
    const dtype = dataTypeOfCode(code);
    if (dtype === undefined) fail(context.node, `attribute "to" is ${code}, which is no known element type`);
    return [{ dtype, shape: inputType(context, 0).shape }];
  },
  Ceil: likeFloatInput,
  Clip: (context) => {
    sameType(
      context,
      allInputs(context).filter((index) => context.inputs[index] !== undefined),
    );
    for (const index of [1, 2]) {
      const bound = context.inputs[index]?.shape;
      if (bound !== undefined && bound.length > 0 && !(bound.length === 1 && bound[0] === 1)) {
        fail(context.node, `the bounds must be scalars, input ${index} has shape ${formatShape(bound)}`);
      }
    }
    return [inputType(context, 0)];
  },
  Cos: likeFloatInput,
  Div: arithmetic,
  Dropout: (context) => {
    const type = floatInput(context);
    return [type, { dtype: "bool", shape: type.shape }];
  },
  Equal: comparison,
  Exp: likeFloatInput,
  Floor: likeFloatInput,
  Greater: comparison,
  GreaterOrEqual: comparison,
  Identity: likeInput,
  IsInf: classification,
  IsNaN: classification,
  Less: comparison,
  LessOrEqual: comparison,
  Log: likeFloatInput,
  LogSoftmax: softmax,
  Max: arithmetic,
  Mean: arithmetic,
  Min: arithmetic,
  Mod: (context) => {
    const types = arithmetic(context);
    const fmod = getInt(context.node, "fmod", 0);
    if (fmod === 0 && types[0].dtype.includes("float")) {
      fail(context.node, "needs the attribute fmod = 1 for floating-point types");
    }
    return types;
  },
  Mul: arithmetic,
  Neg: likeInput,
  Not: logical,
  Or: logical,
  Pow: (context) => [{ dtype: inputType(context, 0).dtype, shape: broadcastInputs(context) }],
  Reciprocal: likeFloatInput,
  Relu: likeInput,
  ReluGrad: (context) => {
    const dtype = sameType(context, [0, 1]);
    const [gradient, activation] = [inputType(context, 0).shape, inputType(context, 1).shape];
    if (gradient === undefined || activation === undefined) return [{ dtype, shape: gradient ?? activation }];
    const shape = gradient.map((dim, axis) => mergeDim(dim, activation[axis]));
    if (gradient.length !== activation.length || shape.includes(undefined)) {
      fail(context.node, `shapes differ: ${formatShape(gradient)} and ${formatShape(activation)}`);
    }
    return [{ dtype, shape: shape.map((merged) => merged?.dim) }];
  },
  Round: likeFloatInput,
  Sigmoid: likeFloatInput,
  Sign: likeInput,
  Sin: likeFloatInput,
  Softmax: softmax,
  Sqrt: likeFloatInput,
  Sub: arithmetic,
  Sum: arithmetic,
  Tanh: likeFloatInput,
  Where: (context) => {
    typedInput(context, 0, "bool");
    return [{ dtype: sameType(context, [1, 2]), shape: broadcastInputs(context) }];
  },
} as const satisfies Record<string, InferRule>;
