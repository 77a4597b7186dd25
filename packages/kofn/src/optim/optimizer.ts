/** Optimizers as graph builders: one update of one parameter, appended to a training step's graph. */

import { InputError } from "../errors.js";
import type { Builder } from "../onnx/builder.js";
import type { AdamOptions, OptimizerOptions, SgdOptions } from "./options.js";

/** What an optimizer's formula takes from schedules: other numbers in each step. */
export interface UpdateScalars {
  readonly rate: number;
  /** Of Adam; 0 for others. */
  readonly epsilon: number;
  /** Factor of parameters to which weight decay applies. */
  readonly decay: number;
}

/** What an optimizer adds to a training step. */
export interface Optimizer {
  /** Names of the state tensors that each parameter has, of the parameter's shape; all begin at zero. */
  readonly state: readonly string[];
  /** Those of the scalars that its graph reads. */
  readonly scalarNames: readonly (keyof UpdateScalars)[];
  /** What its formula has besides the scalars. */
  readonly constants:
    | { readonly kind: "adam"; readonly beta1: number; readonly beta2: number }
    | { readonly kind: "sgd"; readonly momentum: number; readonly nesterov: boolean };
  /** Whether weights decay under this optimizer. */
  readonly weightDecay: number;
  /** The values of the scalars at step `t`, counted from 1, under learning rate `lr`. */
  scalars(t: number, lr: number): UpdateScalars;
  /** Appends the update and returns the new values of the parameter and of its states, in the order of `state`. */
  update(b: Builder, args: UpdateArguments): { parameter: string; state: readonly string[] };
}

/** The value of each scalar, by its name in `scalarNames`. */
type Names = Pick<ReadonlyMap<keyof UpdateScalars, string>, "get">;

/** Names of the values that one update reads. */
export interface UpdateArguments {
  readonly parameter: string;
  readonly gradient: string;
  readonly state: readonly string[];
  readonly scalars: Names;
  /** Whether weight decay applies to this parameter. */
  readonly decays: boolean;
}

/** @throws InputError if a setting is out of range. */
export function optimizerOf(options: OptimizerOptions): Optimizer {
  return options.kind === "adam" ? adam(options) : sgd(options);
}

/**
 * Adam (Kingma and Ba, arXiv 1412.6980) with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
 *
 * The moments are stored as m / (1 - beta1) and v / (1 - beta2), which spares a pass over each; the constants go into
 * the scalars:
 *
 *     m <- beta1 m + g,  v <- beta2 v + g^2,  p <- decay p - rate m / (sqrt(v) + epsilon'),
 *     rate = lr (1 - beta1) / (1 - beta1^t) sqrt((1 - beta2^t) / (1 - beta2)),
 *     epsilon' = epsilon sqrt((1 - beta2^t) / (1 - beta2)),  decay = 1 - lr weightDecay.
 */
function adam(options: AdamOptions): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  check("lr", options.lr, 0, Infinity);
  check("beta1", beta1, 0, 1);
  check("beta2", beta2, 0, 1);
  // A weight that is masked out has no gradient: its update would be 0 / 0.
  if (!(epsilon > 0 && epsilon < Infinity)) {
    throw new InputError(`the optimizer's epsilon must be above 0, got ${epsilon}`);
  }
  check("weightDecay", weightDecay, 0, Infinity);
  return {
    state: ["m", "v"],
    scalarNames: ["rate", "epsilon", ...decayOf(weightDecay)],
    constants: { kind: "adam", beta1, beta2 },
    weightDecay,
    scalars(t, lr) {
      const correction = Math.sqrt((1 - beta2 ** t) / (1 - beta2));
      return {
        rate: ((lr * (1 - beta1)) / (1 - beta1 ** t)) * correction,
        epsilon: epsilon * correction,
        decay: 1 - lr * weightDecay,
      };
    },
    update(b, { parameter, gradient, state: [m, v], scalars, decays }) {
      const newM = b.add(b.mul(m, b.scalar(beta1, m)), gradient, `${parameter}/new_m`);
      const newV = b.add(b.mul(v, b.scalar(beta2, v)), b.mul(gradient, gradient), `${parameter}/new_v`);
      const scale = b.add(b.op("Sqrt", [newV]), scalar(scalars, "epsilon"));
      const change = b.mul(b.div(newM, scale), scalar(scalars, "rate"));
      const decayed = weightDecay > 0 && decays ? b.mul(parameter, scalar(scalars, "decay")) : parameter;
      return { parameter: b.sub(decayed, change, `${parameter}/new`), state: [newM, newV] };
    },
  };
}

/**
 * Stochastic gradient descent with momentum as PyTorch defines it (v <- momentum v + g; p <- p - lr v), Nesterov's
 * variant (p <- p - lr (g + momentum v)), and decoupled weight decay.
 */
function sgd(options: SgdOptions): Optimizer {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  check("lr", options.lr, 0, Infinity);
  check("momentum", momentum, 0, 1);
  check("weightDecay", weightDecay, 0, Infinity);
  if (nesterov && momentum === 0) throw new InputError("Nesterov's variant of SGD needs a momentum above 0");
  return {
    state: momentum > 0 ? ["velocity"] : [],
    scalarNames: ["rate", ...decayOf(weightDecay)],
    constants: { kind: "sgd", momentum, nesterov },
    weightDecay,
    scalars: (_, lr) => ({ rate: lr, epsilon: 0, decay: 1 - lr * weightDecay }),
    update(b, { parameter, gradient, state: [velocity], scalars, decays }) {
      const newState: string[] = [];
      let direction = gradient;
      if (momentum > 0) {
        const factor = b.scalar(momentum, velocity);
        const newVelocity = b.add(b.mul(velocity, factor), gradient, `${parameter}/new_velocity`);
        newState.push(newVelocity);
        direction = nesterov ? b.add(gradient, b.mul(newVelocity, factor)) : newVelocity;
      }
      const decayed = weightDecay > 0 && decays ? b.mul(parameter, scalar(scalars, "decay")) : parameter;
      const change = b.mul(direction, scalar(scalars, "rate"));
      return { parameter: b.sub(decayed, change, `${parameter}/new`), state: newState };
    },
  };
}

const decayOf = (weightDecay: number): "decay"[] => (weightDecay > 0 ? ["decay"] : []);

function scalar(scalars: Names, name: keyof UpdateScalars): string {
  const value = scalars.get(name);
  if (value === undefined) throw new TypeError(`the optimizer's scalar "${name}" is missing`);
  return value;
}

function check(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value < high)) {
    const range = high === Infinity ? `at least ${low}` : `at least ${low} and below ${high}`;
    throw new InputError(`the optimizer's ${name} must be ${range}, got ${value}`);
  }
}
