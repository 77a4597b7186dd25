/** Budgets of a model: counted from the masks' sizes, kept to by any granularity, refused with what is achievable. */

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { countMacs } from "../../src/prune/macs.js";
import { lenet300100, lenet5 } from "../../src/models/lenet.js";
import { mobilenetV2 } from "../../src/models/mobilenet.js";
import { resnet20, resnet50 } from "../../src/models/resnet.js";
import type { Graph, Model } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensor } from "../../src/onnx/tensor.js";
import { formatBudget, parseShare, planPruning, type PruneOptions } from "../../src/prune/budget.js";
import { keptWeights } from "../../src/prune/units.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import { mapSets } from "../../src/prune/structure/map-sets.js";
import { removeDeadChannels } from "../../src/prune/structure/remove.js";
import type { Budget, PrunedLayer } from "../../src/prune/types.js";

/** All weights, and those that are left with these layers pruned. */
function count(graph: Graph, pruned: readonly PrunedLayer[]): [number, number] {
  let [total, kept] = [0, 0];
  for (const { name, dims } of prunableLayers(graph)) {
    const rule = pruned.find((layer) => layer.name === name);
    total += sizeOf(dims);
    kept += rule === undefined ? sizeOf(dims) : keptWeights(rule);
  }
  return [total, kept];
}

/** The message of the InputError that the options meet; "" without one. */
function refusal(graph: Graph, options: PruneOptions): string {
  try {
    planPruning(graph, options);
    return "";
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}

describe.each([
  { make: lenet300100, budget: { weights: 10 } },
  { make: lenet300100, budget: { weights: 100, allocation: "uniform" } },
  { make: lenet5, budget: { weights: 50 } },
  { make: lenet5, budget: { weights: 1 / 0.3, round: 8 } },
  { make: resnet20, budget: { weights: 10 } },
  { make: resnet20, budget: { weights: 5, granularity: "kernels" } },
  { make: resnet20, budget: { weights: 5, granularity: "kernels", round: 8, allocation: "uniform" } },
  { make: resnet50, budget: { weights: 20 } },
] as { make: typeof lenet5; budget: Budget & { weights: number } }[])(
  "$make.name, $budget",
  ({ make, budget }) => {
    const { graph } = make();

    test("keeps as many weights as it says, at most what was asked for, and misses by less than a step", () => {
      const { layers, budget: result } = planPruning(graph, { budget });
      const [total, kept] = count(graph, layers);
      const round = budget.round ?? 1;
      expect(result).toMatchObject({ of: "weights", total, kept, achieved: kept / total });
      expect(kept).toBeLessThanOrEqual(total / budget.weights);
      for (const layer of layers) {
        expect(layer.granularity).toBe(budget.granularity ?? "weights");
        expect(layer.k < layer.n && layer.k >= 1 && layer.k % round === 0).toBe(true);
        const step = keptWeights({ ...layer, k: Math.min(layer.k + round, layer.n) - layer.k });
        expect(kept + step).toBeGreaterThan(total / budget.weights);
      }
    });
  },
);

describe("planPruning", () => {
  test("gives small layers a larger share by erk, and all the same by uniform", () => {
    const shares = (allocation: "erk" | "uniform"): Record<string, number> =>
      Object.fromEntries(
        planPruning(resnet20().graph, { budget: { weights: 10, allocation } }).layers.map(
          ({ name, k, n }) => [name, k / n] as const,
        ),
      );
    const erk = shares("erk");
    expect(erk.fc).toBeUndefined();
    expect(erk["layer1.0.conv1"]).toBeGreaterThan(4 * erk["layer3.2.conv2"]);
    for (const share of Object.values(shares("uniform"))) expect(Math.abs(share - 0.1)).toBeLessThan(0.04);
  });

  test("keeps to a budget of multiply-accumulates", () => {
    const { graph } = resnet20();
    for (const granularity of ["weights", "kernels"] as const) {
      const { layers, budget } = planPruning(graph, { budget: { macs: 0.3, granularity } });
      const { macs, macsKept } = countMacs(graph, layers);
      expect(budget).toMatchObject({ of: "macs", requested: 0.3, total: macs, kept: macsKept });
      expect(macsKept).toBeLessThanOrEqual(0.3 * macs);
      expect(macsKept).toBeGreaterThan(0.298 * macs);
    }
  });

  test("leaves alone what prune specs name, and counts it", () => {
    const { graph } = lenet5();
    const prune = { conv1: "none", "fc?": weights({ k: 40 }), fc2: "none" } as const;
    const { layers, budget } = planPruning(graph, { prune, budget: { weights: 10, granularity: "kernels" } });
    expect(layers.map(({ name, granularity, k, n }) => [name, granularity, k, n])).toEqual([
      ["conv2", "kernels", 14, 20],
      ["fc1", "weights", 40, 800],
    ]);
    expect(budget?.kept).toBe(500 + 14 * 25 * 50 + 40 * 500 + 5000);
  });

  test("prunes nothing at a budget of all", () => {
    expect(planPruning(lenet5().graph, { budget: { weights: 1 } }).layers).toEqual([]);
    expect(planPruning(lenet5().graph, { budget: { macs: 1 } }).budget?.achieved).toBe(1);
  });

  test("refuses what can't be met, saying what can, and what makes no sense", () => {
    const refused = (options: PruneOptions): string => refusal(lenet5().graph, options);
    expect({
      few: refused({ budget: { weights: 2000 } }),
      kernels: refused({ budget: { weights: 10, granularity: "kernels" } }),
      macs: refused({ budget: { macs: 0.001, round: 8 } }),
      nothing: refused({ prune: { "*": "none" }, budget: { weights: 2 } }),
      much: refused({ prune: { fc1: weights({ keep: 0.01 }) }, budget: { weights: 2 } }),
      keep: refused({ keep: { k: 4 }, budget: { weights: 2 } }),
      below: refused({ budget: { weights: 0.5 } }),
      number: refused({ budget: { macs: Number.NaN } }),
      round: refused({ budget: { weights: 2, round: 0.5 } }),
      spec: refused({ prune: { fc9: kernels({ k: 1 }) }, budget: { weights: 2 } }),
    }).toMatchInlineSnapshot(`
      {
        "below": "budget 0.5x: expected either weights, how many times fewer are kept (10; at least 1), or macs, the fraction that is kept (0.3; above 0, at most 1), got {"weights":0.5}.",
        "few": "budget 2000x: at most 215 of 430500 weights are to be kept, but 580 is the fewest: k is at least 1 (granularity weights). Ask for at most 742.24x, or prune other layers by prune specs.",
        "keep": "keep and budget both say how much to keep of all layers: leave one of them out.",
        "kernels": "budget 10x: at most 43050 of 430500 weights are to be kept, but 406750 is the fewest: k is at least 1 (granularity kernels), and fc1, fc2 are left as they are. Ask for at most 1.05x, or prune other layers by prune specs.",
        "macs": "budget 0.1%: at most 2293 of 2293000 multiply-accumulates are to be kept, but 121840 is the fewest: k is at least 8 (granularity weights). Ask for at least 5.32%, or prune other layers by prune specs.",
        "much": "budget 2x: at most 215250 of 430500 weights are to be kept, but the prune specs leave only 34500. Ask for at least 12.48x, or keep more by prune specs.",
        "nothing": "budget 2x: at most 215250 of 430500 weights are to be kept, but 430500 is the fewest: there is no layer for it to choose (granularity weights), and conv1, conv2, fc1, fc2 are left as they are. Ask for at most 1x, or prune other layers by prune specs.",
        "number": "budget NaN%: expected either weights, how many times fewer are kept (10; at least 1), or macs, the fraction that is kept (0.3; above 0, at most 1), got {"macs":null}.",
        "round": "budget 2x: round is a whole number of at least 1, got 0.5.",
        "spec": "prune spec "fc9=kernels:1": no layer matches "fc9". Layers: conv1, conv2, fc1, fc2.",
      }
    `);
  });

  test("names a budget that can just be met", () => {
    const { graph } = lenet5();
    const message = (options: PruneOptions): string => refusal(graph, options);
    const times = Number(/Ask for at most ([\d.]+)x/.exec(message({ budget: { weights: 2000 } }))?.[1]);
    expect(message({ budget: { weights: times } })).toBe("");
    expect(message({ budget: { weights: times + 0.02 } })).toContain("Ask for");
    const share = Number(/Ask for at least ([\d.]+)%/.exec(message({ budget: { macs: 0.001 } }))?.[1]) / 100;
    expect(message({ budget: { macs: share } })).toBe("");
    const prune = { fc1: weights({ keep: 0.01 }) };
    const fewer = Number(/Ask for at least ([\d.]+)x/.exec(message({ prune, budget: { weights: 2 } }))?.[1]);
    expect(message({ prune, budget: { weights: fewer } })).toBe("");
  });
});

/** The model without the last maps of each set, of which the layers' k are kept. */
function withoutMaps(model: Model, pruned: readonly PrunedLayer[]): Model {
  const initializers = new Map(model.graph.initializers);
  for (const { name, n, carriers } of mapSets(model.graph)) {
    const k = pruned.find(({ set }) => set?.name === name)?.k ?? n;
    for (const { parameter, axis, units } of carriers) {
      const value = initializers.get(parameter) as Tensor<"float32">;
      const inner = sizeOf(value.dims.slice(axis + 1));
      const masked = value.array().map((x, i) => (units[Math.floor(i / inner) % units.length] < k ? x : 0));
      initializers.set(parameter, tensor("float32", value.dims, masked));
    }
  }
  return removeDeadChannels({ ...model, graph: { ...model.graph, initializers } });
}

describe("a budget of maps", () => {
  test.each<[string, Model, Budget]>([
    ["lenet-5", lenet5(), { weights: 10, granularity: "maps" }],
    ["resnet-20", resnet20(), { macs: 0.35, granularity: "maps" }],
    ["resnet-20, uniform", resnet20(), { weights: 3, granularity: "maps", allocation: "uniform" }],
    ["mobilenet-v2 by eights", mobilenetV2({ classes: 10 }), { macs: 0.5, granularity: "maps", round: 8 }],
  ])("counts what %s keeps when the maps are removed, coupled ones together", (_, model, budget) => {
    const plan = planPruning(model.graph, { budget });
    const small = withoutMaps(model, plan.layers).graph;
    const kept =
      "macs" in budget
        ? countMacs(small).macs
        : prunableLayers(small).reduce((sum, { dims }) => sum + sizeOf(dims), 0);
    expect(plan.budget?.kept).toBe(kept);
    expect(plan.budget?.achieved).toBeLessThanOrEqual("macs" in budget ? budget.macs : 1 / budget.weights);
    expect(plan.budget?.achieved).toBeGreaterThan(
      "macs" in budget ? 0.98 * budget.macs : 0.98 / budget.weights,
    );
    for (const { granularity, k } of plan.layers) {
      expect(granularity).toBe("maps");
      expect(k % (budget.round ?? 1)).toBe(0);
    }
  });

  test("leaves alone a group of which a spec names a layer, and counts maps that a spec removes", () => {
    const model = resnet20();
    const names = (layers: readonly PrunedLayer[]): string[] => layers.map(({ name }) => name);
    const budget = { weights: 2, granularity: "maps" } as const;
    const none = planPruning(model.graph, { prune: { "layer1.1.conv2": "none" }, budget });
    for (const name of ["conv1", "layer1.0.conv2", "layer1.2.conv2"]) {
      expect(names(none.layers)).not.toContain(name);
    }
    const prune = { "layer3.?.conv1": maps({ k: 8 }) };
    const some = planPruning(model.graph, { prune, budget: { ...budget, weights: 4 } });
    expect(some.layers.find(({ name }) => name === "layer3.1.conv1")?.k).toBe(8);
    const small = withoutMaps(model, some.layers).graph;
    expect(some.budget?.kept).toBe(prunableLayers(small).reduce((sum, { dims }) => sum + sizeOf(dims), 0));
  });

  test("refuses one that one map of each layer exceeds", () => {
    expect(
      refusal(lenet5().graph, { budget: { weights: 1000, granularity: "maps", round: 8 } }),
    ).toMatchInlineSnapshot(
      `"budget 1000x: at most 430 of 430500 weights are to be kept, but 2904 is the fewest: k is at least 8 (granularity maps), and fc2 is left as it is. Ask for at most 148.24x, or prune other layers by prune specs."`,
    );
  });
});

describe("parseShare", () => {
  test("reads times and percentages", () => {
    expect(parseShare("10x", "budget")).toBe(0.1);
    expect(parseShare("12.5%", "budget")).toBe(0.125);
    expect(formatBudget({ weights: 1 / parseShare("10%", "budget") })).toBe("10x");
    expect(formatBudget({ macs: parseShare("30%", "macs") })).toBe("30%");
  });

  test.each(["10", "0x", "0.5x", "101%", "0%", "-5%", "x", "ten x", "1e400x"])("refuses %s", (text) => {
    expect(() => parseShare(text, `budget "${text}"`)).toThrow(/^budget .*: expected how many times/);
  });
});
