/** Gradients of elementwise operators. Broadcasting is undone by the walker. */

import { InputError } from "../../errors.js";
import { DATA_TYPES } from "../../onnx/dtype.js";
import type { Builder } from "../../onnx/builder.js";
import { type Attribute, int } from "../../onnx/model.js";
import type { RuleContext } from "../rule.js";

type Grads = (string | undefined)[];

// y = a + b
export function add({ dY }: RuleContext): Grads {
  return [dY, dY];
}

// y = a - b
export function sub({ b, dY, wants, gradName }: RuleContext): Grads {
  return [dY, wants(1) ? b.neg(dY, gradName(1)) : undefined];
}

// d(ab) = b da + a db
export function mul({ b, inputs, dY, wants, gradName }: RuleContext): Grads {
  return [
    wants(0) ? b.mul(dY, inputs[1], gradName(0)) : undefined,
    wants(1) ? b.mul(dY, inputs[0], gradName(1)) : undefined,
  ];
}

// d(a/b) = da/b - (a/b) db/b
export function div({ b, inputs, outputs, dY, wants, gradName }: RuleContext): Grads {
  const da = b.div(dY, inputs[1], gradName(0));
  return [da, wants(1) ? b.neg(b.mul(da, outputs[0]), gradName(1)) : undefined];
}

// y = x1 + x2 + ...
export function sum({ inputs, dY }: RuleContext): Grads {
  return inputs.map(() => dY);
}

// d(x^p) = p x^(p-1) dx + x^p log(x) dp, where p x^(p-1) is 0 for p = 0 and x^p log(x) is 0 for x = 0
export function pow({ b, inputs: [x, power], outputs: [y], dY, wants, gradName }: RuleContext): Grads {
  const exponent = b.graph.initializers.get(power);
  const p = b.dtype(power) === b.dtype(x) ? power : b.op("Cast", [power], { to: typeCode(b, x) });
  const zero = b.scalar(0, x);
  const slope = () => {
    if (exponent?.size === 1) return powerSlope(b, x, exponent.numbers()[0]);
    const lower = b.op("Pow", [x, b.sub(p, b.scalar(1, p))]);
    return b.op("Where", [b.op("Equal", [p, zero]), zero, b.mul(p, lower)]);
  };
  const dP = () => {
    const growth = b.op("Where", [b.op("Equal", [x, zero]), zero, b.mul(y, b.op("Log", [x]))]);
    return b.mul(dY, growth, gradName(1));
  };
  return [wants(0) ? b.mul(dY, slope(), gradName(0)) : undefined, wants(1) ? dP() : undefined];
}

/** p x^(p-1) for a known p; Pow is slow but for squares. */
function powerSlope(b: Builder, x: string, p: number): string {
  if (p === 0 || p === 1) return b.scalar(p, x);
  const lower = p === 2 ? x : p === 3 ? b.mul(x, x) : b.op("Pow", [x, b.scalar(p - 1, x)]);
  return b.mul(lower, b.scalar(p, x));
}

function typeCode(b: Builder, like: string): Attribute {
  return int(DATA_TYPES[b.dtype(like)].code);
}

// y = (x1 + x2 + ...) / count
export function mean({ b, inputs, dY }: RuleContext): Grads {
  const share = b.mul(dY, b.scalar(1 / inputs.length, dY));
  return inputs.map(() => share);
}

// d sin(x) = cos(x) dx
export function sin({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  return [b.mul(dY, b.op("Cos", [x]), gradName(0))];
}

// d cos(x) = -sin(x) dx
export function cos({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  return [b.neg(b.mul(dY, b.op("Sin", [x])), gradName(0))];
}

// d(-x) = -dx
export function neg({ b, dY, gradName }: RuleContext): Grads {
  return [b.neg(dY, gradName(0))];
}

// d|x| = sign(x) dx
export function abs({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  return [b.mul(dY, b.op("Sign", [x]), gradName(0))];
}

// d(e^x) = e^x dx
export function exp({ b, outputs: [y], dY, gradName }: RuleContext): Grads {
  return [b.mul(dY, y, gradName(0))];
}

// d(log x) = dx/x
export function log({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  return [b.div(dY, x, gradName(0))];
}

// d(sqrt x) = dx / (2 sqrt x)
export function sqrt({ b, outputs: [y], dY, gradName }: RuleContext): Grads {
  return [b.div(b.mul(dY, b.scalar(0.5, dY)), y, gradName(0))];
}

// d(1/x) = -dx/x^2
export function reciprocal({ b, outputs: [y], dY, gradName }: RuleContext): Grads {
  return [b.neg(b.mul(dY, b.mul(y, y)), gradName(0))];
}

// d relu(x) = [x > 0] dx
export function relu({ b, outputs: [y], dY, gradName }: RuleContext): Grads {
  return [b.op("ReluGrad", [dY, y], {}, gradName(0))];
}

// d sigmoid(x) = y (1 - y) dx
export function sigmoid({ b, outputs: [y], dY, gradName }: RuleContext): Grads {
  return [b.mul(dY, b.mul(y, b.sub(b.scalar(1, y), y)), gradName(0))];
}

// d tanh(x) = (1 - y^2) dx
export function tanh({ b, outputs: [y], dY, gradName }: RuleContext): Grads {
  return [b.mul(dY, b.sub(b.scalar(1, y), b.mul(y, y)), gradName(0))];
}

// y = x where the bounds leave it as it is, else constant
export function clip({ b, node, inputs: [x], outputs: [y], dY, wants, gradName }: RuleContext): Grads {
  if (wants(1) || wants(2)) {
    throw new InputError(
      `node "${node.name}" (Clip): kofn can't train the bounds of a Clip; make them constants`,
    );
  }
  return [b.op("Where", [b.op("Equal", [x, y]), dY, b.scalar(0, dY)], {}, gradName(0))];
}

// y = the greatest (least) input; among equals the first one has the gradient
export function extremum({ b, inputs, outputs: [y], dY, gradName }: RuleContext): Grads {
  const zero = b.scalar(0, dY);
  let taken: string | undefined;
  return inputs.map((x, i) => {
    const isExtremum = b.op("Equal", [x, y]);
    const first = taken === undefined ? isExtremum : b.op("And", [isExtremum, b.op("Not", [taken])]);
    taken = taken === undefined ? isExtremum : b.op("Or", [taken, isExtremum]);
    return b.op("Where", [first, dY, zero], {}, gradName(i));
  });
}

// y = condition ? a : b
export function where({ b, inputs: [condition], dY, wants, gradName }: RuleContext): Grads {
  const zero = b.scalar(0, dY);
  return [
    undefined,
    wants(1) ? b.op("Where", [condition, dY, zero], {}, gradName(1)) : undefined,
    wants(2) ? b.op("Where", [condition, zero, dY], {}, gradName(2)) : undefined,
  ];
}
