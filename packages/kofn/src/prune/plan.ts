/** What a spec means for a model as a whole: layers whose maps depend on each other get one mask. */

import { InputError } from "../errors.js";
import { prunableLayers } from "../layers/layers.js";
import { layersNamed } from "../layers/match.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Graph } from "../onnx/model.js";
import { entriesOf, formatAmount, formatRule, kOf, resolvePrune } from "./spec.js";
import { mapSets } from "./structure/map-sets.js";
import type { Amount, MapSet, PrunedLayer, PruneSpec } from "./types.js";

/**
 * {@link resolvePrune} for a graph. Layers with coupled maps (the ends of a residual stage, say) become one pruned layer, which
 * stands for all of them: its `set` says which.
 *
 * A rule for `maps` that names layers by a glob or by their module goes for all of a coupled set, even where it names a part
 * of it only, unless another entry is for the rest; one that names a single layer must be joined by ones for the others.
 *
 * @throws InputError as resolvePrune does; if maps of a layer can't be removed, naming the node that prevents it; if
 * rules ask for different things from coupled layers.
 * @example
 * planPrune(zoo.resnet20().graph, { "layer1*": maps({ keep: 0.5 }) });
 */
export function planPrune(graph: Graph, spec: PruneSpec, keep?: Amount): PrunedLayer[] {
  const layers = prunableLayers(graph);
  const resolved = resolvePrune(layers, spec, keep);
  if (!resolved.some(({ granularity }) => granularity === "maps")) return resolved;
  const entries = entriesByLayer(layers, spec);
  const byName = new Map(resolved.map((layer) => [layer.name, layer]));
  const sets = new Map<string, MapSet>();
  for (const set of mapSets(graph)) {
    for (const { layer } of set.layers) sets.set(layer.name, set);
  }
  const planned: PrunedLayer[] = [];
  const done = new Set<MapSet>();
  for (const { name } of layers) {
    const set = sets.get(name);
    const isMaps = set?.layers.some(({ layer }) => byName.get(layer.name)?.granularity === "maps") === true;
    const own = byName.get(name);
    if (set === undefined || !isMaps) {
      if (own !== undefined) planned.push(own);
    } else if (!done.has(set)) {
      done.add(set);
      planned.push(coupled(set, byName, entries));
    }
  }
  return planned;
}

/** Layers by name, as they were resolved. */
type Resolved = ReadonlyMap<string, PrunedLayer>;

/** The entry that decides about each layer: the last that names it. */
type Entries = ReadonlyMap<string, ReturnType<typeof entriesOf>[number]>;

function entriesByLayer(layers: readonly PrunableLayer[], spec: PruneSpec): Entries {
  return new Map(
    entriesOf(spec).flatMap((entry) =>
      layersNamed(entry[0], layers).map(({ name }) => [name, entry] as const),
    ),
  );
}

function coupled(set: MapSet, resolved: Resolved, entries: Entries): PrunedLayer {
  const names = set.layers.map(({ layer }) => layer.name);
  const leader = names.find((name) => resolved.get(name)?.granularity === "maps") ?? set.name;
  const [pattern, rule] = entries.get(leader) ?? [leader, "none"];
  const where = `prune spec "${pattern}=${formatRule(rule)}": layer "${leader}"`;
  const pruned = resolved.get(leader);
  if (pruned === undefined || rule === "none") throw new TypeError(`layer "${leader}" has no rule`);
  if (set.refusal !== undefined) {
    throw new InputError(
      `${where}: its maps can't be removed: ${set.refusal}. Prune it by weights or kernels, or leave it out (${leader}=none).`,
    );
  }
  const channels = set.layers.find(({ layer }) => layer.name === leader)?.units.length ?? set.n;
  const each = channels / set.n;
  if ("k" in rule.amount && rule.amount.k % each !== 0) {
    throw new InputError(
      `${where}: its maps come ${each} at a time (they are coupled across the groups of a convolution), so k must be a multiple of ${each}, got ${rule.amount.k}.`,
    );
  }
  const k = "k" in rule.amount ? rule.amount.k / each : kOf(rule.amount, set.n);
  for (const { layer, units } of set.layers) {
    if (layer.name === leader) continue;
    const entry = entries.get(layer.name);
    const other = entry?.[1];
    const isImplied = other === undefined && resolved.get(layer.name) === undefined && pattern !== leader;
    if (isImplied) continue;
    const own =
      other === undefined || other === "none" || other.granularity !== "maps" ? undefined : other.amount;
    const ownK =
      own === undefined ? undefined : "k" in own ? (own.k * set.n) / units.length : kOf(own, set.n);
    if (ownK === k) continue;
    const asked =
      own === undefined
        ? `"${layer.name}" is ${entry === undefined ? "not named" : `"${entry[0]}=${formatRule(entry[1])}"`}`
        : `"${layer.name}" is to keep ${formatAmount(own)}`;
    const remedy = names.map((name) => `${name}=maps:${formatAmount(rule.amount)}`).join(" ");
    throw new InputError(
      `${where}: its maps are coupled with those of ${names.filter((name) => name !== leader).join(", ")}, and can only be removed together, but ${asked}. Write ${remedy}.`,
    );
  }
  const [{ layer: first }] = set.layers;
  return { ...first, granularity: "maps", share: 1, groups: 1, n: set.n, k, set };
}
