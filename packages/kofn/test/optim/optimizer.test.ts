/** Optimizers as graphs, run in float64, against their textbook formulas. */

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph } from "../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import type { AdamOptions, OptimizerOptions, SgdOptions } from "../../src/optim/options.js";
import { Random } from "../../src/random.js";

const SIZE = 6;
const STEPS = 12;

/** Gradients of each step, one of them 0 throughout, and the learning rate of each step. */
const random = new Random(3, "optimizer");
const GRADIENTS = Array.from({ length: STEPS }, () =>
  Array.from({ length: SIZE }, (_, i) => (i === 0 ? 0 : random.normal() * 10 ** (i - 3))),
);
const START = Array.from({ length: SIZE }, () => random.normal());
const rateAt = (t: number, lr: number): number => lr * (1 - t / (2 * STEPS));

/** The parameter after each step, as the optimizer's graph has it. */
function byGraph(options: OptimizerOptions, decays = true): number[][] {
  const optimizer = optimizerOf(options);
  const b = new Builder(emptyGraph("optimizer"));
  const parameter = b.input("p", "float64", [SIZE]);
  const gradient = b.input("g", "float64", [SIZE]);
  const state = optimizer.state.map((name) => b.input(name, "float64", [SIZE]));
  const scalars = new Map(
    optimizer.scalarNames.map((name) => [name, b.input(`scalar/${name}`, "float64", [])]),
  );
  const updated = optimizer.update(b, { parameter, gradient, state, scalars, decays });
  const wanted = [updated.parameter, ...updated.state];
  let values = [START, ...state.map(() => new Array<number>(SIZE).fill(0))];
  return GRADIENTS.map((g, i) => {
    const feeds = new Map<string, Tensor>([["g", tensorFrom("float64", [SIZE], g)]]);
    [parameter, ...state].forEach((name, j) => feeds.set(name, tensorFrom("float64", [SIZE], values[j])));
    const given = optimizer.scalars(i + 1, rateAt(i + 1, options.lr));
    for (const [name, input] of scalars) feeds.set(input, tensorFrom("float64", [], [given[name]]));
    const results = evaluateGraph(b.graph, feeds, wanted);
    values = wanted.map((name) => results.get(name)?.numbers() ?? []);
    return values[0];
  });
}

/** Algorithm 1 of Kingma and Ba, with the decay of Loshchilov and Hutter's algorithm 2. */
function adam(
  { lr, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamOptions,
  decays = true,
): number[][] {
  const [m, v, p] = [new Array<number>(SIZE).fill(0), new Array<number>(SIZE).fill(0), [...START]];
  return GRADIENTS.map((gradient, step) => {
    const t = step + 1;
    gradient.forEach((g, i) => {
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      const mHat = m[i] / (1 - beta1 ** t);
      const vHat = v[i] / (1 - beta2 ** t);
      const decay = decays ? weightDecay * p[i] : 0;
      p[i] -= rateAt(t, lr) * (mHat / (Math.sqrt(vHat) + epsilon) + decay);
    });
    return [...p];
  });
}

/** As torch.optim.SGD documents it, with decoupled decay. */
function sgd({ lr, momentum = 0, nesterov = false, weightDecay = 0 }: SgdOptions, decays = true): number[][] {
  const [velocity, p] = [new Array<number>(SIZE).fill(0), [...START]];
  return GRADIENTS.map((gradient, step) => {
    gradient.forEach((g, i) => {
      velocity[i] = momentum * velocity[i] + g;
      const direction = nesterov ? g + momentum * velocity[i] : velocity[i];
      const decay = decays ? weightDecay * p[i] : 0;
      p[i] -= rateAt(step + 1, lr) * (direction + decay);
    });
    return [...p];
  });
}

function compare(actual: number[][], expected: number[][]): void {
  expected.forEach((values, step) => {
    values.forEach((value, i) => {
      const error = Math.abs(actual[step][i] - value);
      expect(error, `step ${step + 1}, element ${i}`).toBeLessThan(1e-12 * (1 + Math.abs(value)));
    });
  });
}

describe("Adam", () => {
  test.each<[string, Omit<AdamOptions, "kind">]>([
    ["defaults", { lr: 0.1 }],
    ["other betas", { lr: 0.1, beta1: 0.5, beta2: 0.9 }],
    ["no momentum", { lr: 0.1, beta1: 0 }],
    ["an epsilon that is felt", { lr: 0.1, epsilon: 0.1 }],
    ["decoupled decay", { lr: 0.1, weightDecay: 0.3 }],
  ])("equals its definition: %s", (_, settings) => {
    const options: AdamOptions = { kind: "adam", ...settings };
    compare(byGraph(options), adam(options));
  });

  test("leaves a parameter whose gradient is 0 where it is", () => {
    for (const values of byGraph({ kind: "adam", lr: 0.1 })) expect(values[0]).toBe(START[0]);
  });
});

describe("SGD", () => {
  test.each<[string, Omit<SgdOptions, "kind">]>([
    ["plain", { lr: 0.1 }],
    ["momentum", { lr: 0.1, momentum: 0.9 }],
    ["Nesterov's momentum", { lr: 0.1, momentum: 0.9, nesterov: true }],
    ["decoupled decay", { lr: 0.1, weightDecay: 0.3 }],
    ["all of them", { lr: 0.1, momentum: 0.5, nesterov: true, weightDecay: 0.01 }],
  ])("equals its definition: %s", (_, settings) => {
    const options: SgdOptions = { kind: "sgd", ...settings };
    compare(byGraph(options), sgd(options));
  });
});

describe("decay", () => {
  test("does not touch a parameter that does not decay", () => {
    const options: AdamOptions = { kind: "adam", lr: 0.1, weightDecay: 0.3 };
    compare(byGraph(options, false), adam(options, false));
    const plain: SgdOptions = { kind: "sgd", lr: 0.1, weightDecay: 0.3 };
    compare(byGraph(plain, false), sgd(plain, false));
  });
});

describe("settings", () => {
  test.each<[OptimizerOptions, string]>([
    [{ kind: "adam", lr: -1 }, "the optimizer's lr must be at least 0, got -1"],
    [{ kind: "adam", lr: NaN }, "the optimizer's lr must be at least 0, got NaN"],
    [{ kind: "adam", lr: Infinity }, "the optimizer's lr must be at least 0, got Infinity"],
    [{ kind: "adam", lr: 1, beta1: 1 }, "the optimizer's beta1 must be at least 0 and below 1, got 1"],
    [{ kind: "adam", lr: 1, beta2: -0.1 }, "the optimizer's beta2 must be at least 0 and below 1, got -0.1"],
    [{ kind: "adam", lr: 1, epsilon: 0 }, "the optimizer's epsilon must be above 0, got 0"],
    [{ kind: "adam", lr: 1, weightDecay: -1 }, "the optimizer's weightDecay must be at least 0, got -1"],
    [{ kind: "sgd", lr: -1 }, "the optimizer's lr must be at least 0, got -1"],
    [{ kind: "sgd", lr: 1, momentum: 1 }, "the optimizer's momentum must be at least 0 and below 1, got 1"],
    [{ kind: "sgd", lr: 1, weightDecay: NaN }, "the optimizer's weightDecay must be at least 0, got NaN"],
    [{ kind: "sgd", lr: 1, nesterov: true }, "Nesterov's variant of SGD needs a momentum above 0"],
  ])("%o is refused", (options, message) => {
    expect(() => optimizerOf(options)).toThrow(new InputError(message));
  });
});
