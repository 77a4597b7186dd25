/** At which granularities each layer of a model can be pruned, and with groups of how many units. */

import { canonicalDims } from "@kofn/format/file/units.js";
import type { Granularity } from "@kofn/format/run/words.js";
import { InputError } from "../errors.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Graph } from "../onnx/model.js";
import { mapSets } from "../prune/structure/map-sets.js";

/** How a layer can be pruned. */
export interface PrunableBy {
  readonly granularities: readonly Granularity[];
  /** Units in each group, n, by granularity. */
  readonly n: Readonly<Partial<Record<Granularity, number>>>;
  /** The other layers whose maps are kept or removed with this one's. */
  readonly mapsWith: readonly string[];
  /** Why its maps can't be removed. */
  readonly mapsRefused?: string;
}

/** For each of the prunable layers of a graph, in order. */
export function prunableBy(graph: Graph, layers: readonly PrunableLayer[]): PrunableBy[] {
  const sets = setsOf(graph);
  return layers.map((layer) => {
    const [, inputs, kernel] = canonicalDims(layer);
    const n: Partial<Record<Granularity, number>> = { weights: inputs * kernel };
    if (layer.dims.length > 2) n.kernels = inputs;
    const set = sets.find((each) => each.layers.some((member) => member.layer.name === layer.name));
    if (set !== undefined && set.refusal === undefined) n.maps = set.n;
    const others = set?.layers.map((member) => member.layer.name) ?? [];
    const refused = set === undefined ? "the shapes of the model are not known" : set.refusal;
    return {
      granularities: Object.keys(n) as Granularity[],
      n,
      mapsWith: others.filter((name) => name !== layer.name),
      ...(refused === undefined ? {} : { mapsRefused: refused }),
    };
  });
}

function setsOf(graph: Graph): ReturnType<typeof mapSets> {
  try {
    return mapSets(graph);
  } catch (error) {
    if (error instanceof InputError) return [];
    throw error;
  }
}
