/** The host's update of all parameters at once, against the optimizer's graph, parameter by parameter. */

import { describe, expect, test } from "vitest";
import { type HostArrays, HostOptimizer, type HostParameter } from "../../src/host/optimizer.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph } from "../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { type Optimizer, optimizerOf, type UpdateScalars } from "../../src/optim/optimizer.js";
import type { OptimizerOptions } from "../../src/optim/options.js";
import { Random } from "../../src/random.js";

const PARAMETERS: readonly HostParameter[] = [
  { name: "a.weight", dims: [3, 7], decays: true },
  { name: "a.bias", dims: [3], decays: false },
  { name: "b.weight", dims: [5, 3, 2, 2], decays: true },
  { name: "b.bias", dims: [33], decays: false },
];

/** Values and states of a parameter after one update by the graph. */
function byGraph(
  optimizer: Optimizer,
  { dims, decays }: HostParameter,
  arrays: HostArrays,
  given: UpdateScalars,
): number[][] {
  const b = new Builder(emptyGraph("update"));
  const [parameter, gradient] = [b.input("p", "float32", dims), b.input("g", "float32", dims)];
  const state = optimizer.state.map((name) => b.input(name, "float32", dims));
  const scalars = new Map(optimizer.scalarNames.map((name) => [name, b.input(`s/${name}`, "float32", [])]));
  const updated = optimizer.update(b, { parameter, gradient, state, scalars, decays });
  const feeds = new Map<string, Tensor>(
    [["p", arrays.values] as const, ["g", arrays.gradient] as const, ...arrays.states].map(
      ([name, values]) => [name, tensorFrom("float32", dims, values)],
    ),
  );
  for (const [name, input] of scalars) feeds.set(input, tensorFrom("float32", [], [given[name]]));
  const outputs = [updated.parameter, ...updated.state];
  const results = evaluateGraph(b.graph, feeds, outputs);
  return outputs.map((name) => [...(results.get(name)?.numbers() ?? [])]);
}

describe("HostOptimizer", () => {
  test.each<OptimizerOptions>([
    { kind: "adam", lr: 0.1 },
    { kind: "adam", lr: 0.1, beta1: 0.5, epsilon: 1e-3, weightDecay: 0.1 },
    { kind: "sgd", lr: 0.1 },
    { kind: "sgd", lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.1 },
  ])("updates as the optimizer's graph does: %o", (options) => {
    const optimizer = optimizerOf(options);
    const host = new HostOptimizer(optimizer, PARAMETERS);
    const random = new Random(4, "host optimizer");
    for (const { values } of host.arrays.values()) values.forEach((_, i) => (values[i] = random.normal()));
    for (let step = 1; step <= 4; step++) {
      const given = optimizer.scalars(step, 0.1);
      const expected = PARAMETERS.map((parameter) => {
        const arrays = host.arrays.get(parameter.name);
        if (arrays === undefined) throw new Error(parameter.name);
        arrays.gradient.forEach((_, i) => (arrays.gradient[i] = random.normal()));
        return byGraph(optimizer, parameter, arrays, given);
      });
      host.update(given);
      PARAMETERS.forEach(({ name }, j) => {
        const arrays = host.arrays.get(name);
        const actual = [arrays?.values, ...(arrays?.states.values() ?? [])];
        expected[j].forEach((wanted, i) => {
          wanted.forEach((value, index) => {
            expect(actual[i]?.[index], `${name}[${index}] after step ${step}`).toBeCloseTo(value, 5);
          });
        });
      });
    }
  });

  test("lets moments of Adam decay to no denormal number", () => {
    const optimizer = optimizerOf({ kind: "adam", lr: 0.1 });
    const host = new HostOptimizer(optimizer, [{ name: "fc.weight", dims: [3, 7], decays: true }]);
    const arrays = host.arrays.get("fc.weight");
    const m = arrays?.states.get("m") ?? new Float32Array();
    arrays?.gradient.forEach((_, i) => (arrays.gradient[i] = (i - 10) * 1e-4));
    const least = (): number => Math.min(...m.filter((value) => value !== 0).map(Math.abs));
    host.update(optimizer.scalars(1, 0.1));
    expect(least()).toBeCloseTo(1e-4, 10);
    arrays?.gradient.fill(0);
    // 0.9^1200 is 1e-55.
    for (let step = 2; step <= 1200; step++) host.update(optimizer.scalars(step, 0.1));
    expect(least()).toBeGreaterThanOrEqual(2 ** -126);
    expect(Math.max(...m)).toBeLessThan(1e-35);
  });
});
