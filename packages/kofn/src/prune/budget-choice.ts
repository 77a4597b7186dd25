/** What a budget can choose in a graph: a k for each layer, or for each set of layers with coupled maps. */

import type { Allocation, Granularity } from "@kofn/format/run/words.js";
import { InputError } from "../errors.js";
import { layersNamed } from "../layers/match.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Graph } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { type Allotment, erdosRenyiKernel } from "./allocation.js";
import { keptWeights } from "./units.js";
import { entriesOf, resolveLayer } from "./spec.js";
import { mapSets } from "./structure/map-sets.js";
import { traceChannels } from "./structure/walk.js";
import type { MapSet, PrunedLayer, PruneRule, PruneSpec } from "./types.js";

/** The k that a budget chooses, and what follows from them. */
export interface Choice {
  readonly allotments: readonly Allotment[];
  /** Names of the layers that it chooses for. */
  readonly chosen: ReadonlySet<string>;
  /** How many weights are kept of the layer at this place, with a k for each allotment. */
  readonly kept: (layer: number, k: readonly number[]) => number;
  /** The rules that say the same; a layer that keeps all has none. */
  readonly rules: (k: readonly number[]) => (readonly [name: string, rule: PruneRule])[];
}

/** What a choice is about. */
interface Scope {
  readonly graph: Graph;
  /** All prunable layers of the graph. */
  readonly layers: readonly PrunableLayer[];
  readonly prune: PruneSpec;
  /** What the spec alone means. */
  readonly named: readonly PrunedLayer[];
  readonly allocation: Allocation;
}

/** @throws InputError if a layer to choose for has a name that no prune spec can name alone. */
export function choiceOf(scope: Scope, granularity: Granularity): Choice {
  const choice = granularity === "maps" ? mapChoice(scope) : unitChoice(scope, granularity);
  for (const name of choice.chosen) {
    if (/[*?]/.test(name)) {
      throw new InputError(
        `layer "${name}": a budget can't choose for a layer whose name has a wildcard. Name it in a prune spec.`,
      );
    }
  }
  return choice;
}

/** Whether an entry of the spec is for a layer of this name. */
function isNamed({ prune, layers }: Scope, name: string): boolean {
  return entriesOf(prune).some(([pattern]) =>
    layersNamed(pattern, layers).some((layer) => layer.name === name),
  );
}

/** A k for each layer that the spec does not name; single layers, without kernels where they are matrices. */
function unitChoice(scope: Scope, granularity: Exclude<Granularity, "maps">): Choice {
  const { layers, named, allocation } = scope;
  const chosen = layers
    .filter(({ name, dims }) => !isNamed(scope, name) && (granularity === "weights" || dims.length > 2))
    .map((layer) =>
      resolveLayer(layer, { granularity, amount: { k: 1 } }, "budget", layer === layers.at(-1)),
    );
  const places = new Map(chosen.map(({ name }, i) => [name, i]));
  const perUnit = chosen.map(keptWeights);
  const fixed = fixedWeights(layers, named);
  const placeOf = layers.map(({ name }) => places.get(name));
  return {
    allotments: chosen.map(({ n, dims }) => {
      return { n, density: allocation === "uniform" ? 1 : erdosRenyiKernel([dims]) };
    }),
    chosen: new Set(places.keys()),
    kept: (layer, k) => {
      const place = placeOf[layer];
      return place === undefined ? fixed[layer] : perUnit[place] * k[place];
    },
    rules: (k) =>
      chosen.flatMap(({ name, n }, i) =>
        k[i] === n ? [] : [[name, { granularity, amount: { k: k[i] } }] as const],
      ),
  };
}

/** For each layer how many weights it keeps by the spec alone. */
function fixedWeights(layers: readonly PrunableLayer[], named: readonly PrunedLayer[]): number[] {
  return layers.map(({ name, dims }) => {
    const rule = named.find((layer) => layer.name === name);
    return rule === undefined ? sizeOf(dims) : keptWeights(rule);
  });
}

/**
 * A k for each set of coupled layers none of which the spec names, and whose maps can be removed. A removed map takes
 * with it the weights that make it and those that read it: a layer keeps the product of what is left along its axes.
 *
 * Layers are pruned at both ends, so that a share of maps gives its square in weights: densities are square roots.
 */
function mapChoice(scope: Scope): Choice {
  const { graph, layers, named, allocation } = scope;
  const sets = mapSets(graph);
  const chosen = sets.filter(({ refusal, layers: members }) => {
    return refusal === undefined && !members.some(({ layer }) => isNamed(scope, layer.name));
  });
  const places = new Map(chosen.map((set, i) => [set, i]));
  const constant = new Map(sets.map((set) => [set, fixedUnits(set, named)]));
  const sides = axesOf(graph, layers, sets);
  const others = fixedWeights(
    layers,
    named.filter(({ granularity }) => granularity !== "maps"),
  );
  const left = ({ length, parts }: Axis, k: readonly number[]): number => {
    let sum = 0;
    for (const { set, each } of parts) {
      const place = places.get(set);
      sum += each * (place === undefined ? (constant.get(set) ?? set.n) : k[place]);
    }
    return parts.length === 0 ? length : Math.min(sum, length);
  };
  return {
    allotments: chosen.map(({ n, layers: members }) => {
      const dims = members.map(({ layer }) => layer.dims);
      return { n, density: allocation === "uniform" ? 1 : Math.sqrt(erdosRenyiKernel(dims)) };
    }),
    chosen: new Set(chosen.flatMap(({ layers: members }) => members.map(({ layer }) => layer.name))),
    kept: (layer, k) =>
      Math.min(
        others[layer],
        sides[layer].reduce((product, axis) => product * left(axis, k), 1),
      ),
    rules: (k) =>
      chosen.flatMap(({ n, layers: members }, i) => {
        if (k[i] === n) return [];
        return members.map(({ layer, units }) => {
          const channels = (k[i] * units.length) / n;
          return [layer.name, { granularity: "maps", amount: { k: channels } }] as const;
        });
      }),
  };
}

/** How many units the spec alone keeps of a set. */
function fixedUnits({ n, layers }: MapSet, named: readonly PrunedLayer[]): number {
  for (const { layer, units } of layers) {
    const rule = named.find(({ name, granularity }) => name === layer.name && granularity === "maps");
    if (rule !== undefined) return (rule.k * n) / units.length;
  }
  return n;
}

/** An axis of a weight. */
interface Axis {
  readonly length: number;
  /** The sets whose channels lie along it, and how many indices at most a unit of them takes; none for an axis that stays. */
  readonly parts: readonly { readonly set: MapSet; readonly each: number }[];
}

/** The axes of each layer's weight. */
function axesOf(graph: Graph, layers: readonly PrunableLayer[], sets: readonly MapSet[]): Axis[][] {
  const trace = traceChannels(graph);
  const unitOf = new Map<number, { readonly set: MapSet; readonly unit: number }>();
  for (const set of sets) {
    for (const { layer, units } of set.layers) {
      const labels = trace.layouts.get(layer.weight)?.[layer.transposed ? 1 : 0] ?? [];
      units.forEach((unit, i) => unitOf.set(trace.sets.find(labels[i]), { set, unit }));
    }
  }
  return layers.map(({ weight, dims }) =>
    dims.map((length, axis): Axis => {
      const counts = new Map<MapSet, Int32Array>();
      for (const label of trace.layouts.get(weight)?.[axis] ?? []) {
        const owner = unitOf.get(trace.sets.find(label));
        if (owner === undefined) return { length, parts: [] };
        const ofUnits = counts.get(owner.set) ?? new Int32Array(owner.set.n);
        ofUnits[owner.unit]++;
        counts.set(owner.set, ofUnits);
      }
      return {
        length,
        parts: [...counts].map(([set, ofUnits]) => ({ set, each: Math.max(...ofUnits) })),
      };
    }),
  );
}
