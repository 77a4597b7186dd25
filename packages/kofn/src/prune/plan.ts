/** What a spec means for a model as a whole: layers whose maps depend on each other get one mask. */

import { InputError } from "../errors.js";
import { prunableLayers } from "../layers/layers.js";
import { layersNamed } from "../layers/match.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Graph } from "../onnx/model.js";
import { entriesOf, formatAmount, formatRule, kOf, resolvePrune } from "./spec.js";
import { mapGroups } from "./structure/map-groups.js";
import type { Amount, MapGroup, PrunedLayer, PruneSpec } from "./types.js";

/**
 * {@link resolvePrune} for a graph. Layers with coupled maps (the ends of a residual stage, say) become one pruned layer, which
 * stands for all of them: its `group` says which.
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
  const groups = new Map<string, MapGroup>();
  for (const group of mapGroups(graph)) {
    for (const { layer } of group.layers) groups.set(layer.name, group);
  }
  const planned: PrunedLayer[] = [];
  const done = new Set<MapGroup>();
  for (const { name } of layers) {
    const group = groups.get(name);
    const isMaps = group?.layers.some(({ layer }) => byName.get(layer.name)?.granularity === "maps") === true;
    const own = byName.get(name);
    if (group === undefined || !isMaps) {
      if (own !== undefined) planned.push(own);
    } else if (!done.has(group)) {
      done.add(group);
      planned.push(coupled(group, byName, entries));
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

function coupled(group: MapGroup, resolved: Resolved, entries: Entries): PrunedLayer {
  const names = group.layers.map(({ layer }) => layer.name);
  const leader = names.find((name) => resolved.get(name)?.granularity === "maps") ?? group.name;
  const [pattern, rule] = entries.get(leader) ?? [leader, "none"];
  const where = `prune spec "${pattern}=${formatRule(rule)}": layer "${leader}"`;
  const pruned = resolved.get(leader);
  if (pruned === undefined || rule === "none") throw new TypeError(`layer "${leader}" has no rule`);
  if (group.refusal !== undefined) {
    throw new InputError(
      `${where}: its maps can't be removed: ${group.refusal}. Prune it by weights or kernels, or leave it out (${leader}=none).`,
    );
  }
  const channels = group.layers.find(({ layer }) => layer.name === leader)?.units.length ?? group.n;
  const each = channels / group.n;
  if ("k" in rule.amount && rule.amount.k % each !== 0) {
    throw new InputError(
      `${where}: its maps come ${each} at a time (they are coupled across the groups of a convolution), so k must be a multiple of ${each}, got ${rule.amount.k}.`,
    );
  }
  const k = "k" in rule.amount ? rule.amount.k / each : kOf(rule.amount, group.n);
  for (const { layer, units } of group.layers) {
    if (layer.name === leader) continue;
    const entry = entries.get(layer.name);
    const other = entry?.[1];
    const isImplied = other === undefined && resolved.get(layer.name) === undefined && pattern !== leader;
    if (isImplied) continue;
    const own =
      other === undefined || other === "none" || other.granularity !== "maps" ? undefined : other.amount;
    const ownK =
      own === undefined ? undefined : "k" in own ? (own.k * group.n) / units.length : kOf(own, group.n);
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
  const [{ layer: first }] = group.layers;
  return { ...first, granularity: "maps", share: 1, groups: 1, n: group.n, k, group };
}
