/** Shapes of the activation functions, and the defaults of their attributes where those are more than a round number. */

import { getString } from "../model.js";
import { differ, fail, floatInput, formatShape, type InferRule, inputType, sameType } from "./support.js";

/** Defaults of Selu's attributes: the fixed point of self-normalising networks, rounded to float32. */
export const SELU = { alpha: 1.67326319217681884765625, gamma: 1.05070102214813232421875 } as const;

const likeInput: InferRule = (context) => [floatInput(context)];

export const activations = {
  Celu: likeInput,
  Elu: likeInput,
  Erf: likeInput,
  Gelu: (context) => {
    const approximate = getString(context.node, "approximate", "none");
    if (!["none", "tanh"].includes(approximate)) {
      fail(context.node, `approximate must be "none" or "tanh", not "${approximate}"`);
    }
    return [floatInput(context)];
  },
  HardSigmoid: likeInput,
  HardSwish: likeInput,
  LeakyRelu: likeInput,
  Mish: likeInput,
  PRelu: (context) => {
    const dtype = sameType(context, [0, 1]);
    const [x, slope] = [inputType(context, 0).shape, inputType(context, 1).shape];
    if (x !== undefined && slope !== undefined) {
      const lead = x.length - slope.length;
      if (lead < 0 || slope.some((dim, i) => dim !== 1 && differ(dim, x[lead + i]))) {
        fail(
          context.node,
          `the slope ${formatShape(slope)} does not broadcast to the input ${formatShape(x)}`,
        );
      }
    }
    return [{ dtype, shape: x }];
  },
  Selu: likeInput,
  Shrink: likeInput,
  Softplus: likeInput,
  Softsign: likeInput,
  ThresholdedRelu: likeInput,
} as const satisfies Record<string, InferRule>;
