/** Says what to prune: the command line's grammar, the library's constructors, and what a spec means for a model. */

import { canonicalDims } from "@kofn/format/file/units.js";
import { GRANULARITIES, type Granularity } from "@kofn/format/run/words.js";
import { InputError } from "../errors.js";
import { layersNamed, listed } from "../layers/match.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Amount, PrunedLayer, PruneRule, PruneSpec } from "./types.js";

const GRAMMAR = "LAYER=GRANULARITY:AMOUNT[,OPTION:VALUE...], such as fc1=weights:40, or LAYER=none";
const AMOUNTS = "a count (40), a percentage (5%), or k of every n consecutive weights (2:4)";

/** An {@link Amount} that is no tile. */
type CountOrShare = Exclude<Amount, { readonly tile: unknown }>;

/**
 * A rule that keeps single weights: of the fan-in of each output channel, of each 2-D kernel (`per: "kernel"`), or of
 * every n consecutive weights of the fan-in (`tile: [k, n]`, N:M sparsity). k = n leaves the layer dense.
 *
 * @throws InputError if the amount or an option is out of range.
 * @example
 * weights({ k: 40 }); weights({ keep: 0.05, share: 4 }); weights({ tile: [2, 4] }); weights({ k: 3, per: "kernel" });
 */
export function weights(options: Amount & { per?: "kernel"; share?: number }): PruneRule {
  return constructed("weights", options);
}

/**
 * A rule that keeps whole 2-D kernels of each output channel of a convolution.
 *
 * @throws InputError if the amount or an option is out of range.
 * @example
 * kernels({ keep: 0.25 }); // with 64 input channels: 16 of 64 kernels per output channel
 */
export function kernels(options: CountOrShare & { share?: number }): PruneRule {
  return constructed("kernels", options);
}

/**
 * A rule that keeps whole output channels (feature maps, neurons) of a layer, with their biases.
 *
 * @throws InputError if the amount is out of range.
 * @example
 * maps({ k: 24 });
 */
export function maps(options: CountOrShare): PruneRule {
  return constructed("maps", options);
}

function constructed(
  granularity: Granularity,
  options: { k?: number; keep?: number; tile?: readonly [number, number]; per?: "kernel"; share?: number },
): PruneRule {
  const { k, keep, tile, per, share } = options;
  const where = `${granularity}(${JSON.stringify(options)})`;
  const amounts: Amount[] = [];
  if (k !== undefined) amounts.push({ k });
  if (keep !== undefined) amounts.push({ keep });
  if (tile !== undefined) amounts.push({ tile });
  if (amounts.length !== 1) throw new InputError(`${where}: give exactly one of k, keep and tile.`);
  const rule: PruneRule = {
    granularity,
    amount: amounts[0],
    ...(per === undefined ? {} : { per }),
    ...(share === undefined ? {} : { share }),
  };
  checkRule(rule, where);
  return rule;
}

/**
 * Reads one `--prune` argument: `LAYER=GRANULARITY:AMOUNT[,OPTION:VALUE...]` or `LAYER=none`.
 *
 * LAYER is a glob over layer names (`*` any text, `?` one character). GRANULARITY is weights, kernels or maps. AMOUNT is
 * `40` (k), `5%`, or `2:4` (weights only). Options: `per:kernel` (weights only), `share:4` (weights and kernels).
 *
 * @throws InputError naming what is wrong and what is allowed.
 * @example
 * parsePrune("conv*=kernels:25%"); // { pattern: "conv*", rule: { granularity: "kernels", amount: { keep: 0.25 } } }
 */
export function parsePrune(text: string): { pattern: string; rule: PruneRule | "none" } {
  const where = `prune spec "${text}"`;
  const equals = text.lastIndexOf("=");
  const pattern = text.slice(0, Math.max(equals, 0)).trim();
  const [head, ...options] = text
    .slice(equals + 1)
    .split(",")
    .map((part) => part.trim());
  if (pattern === "" || head === "") throw new InputError(`${where}: expected ${GRAMMAR}.`);
  if (head === "none") {
    if (options.length > 0)
      throw new InputError(`${where}: "none" takes no options, got "${options.join(",")}".`);
    return { pattern, rule: "none" };
  }
  const colon = head.indexOf(":");
  const name = colon < 0 ? head : head.slice(0, colon);
  const granularity = GRANULARITIES.find((known) => known === name);
  if (granularity === undefined) {
    throw new InputError(
      `${where}: unknown granularity "${name}". Expected ${GRANULARITIES.join(", ")} or none, as in ${GRAMMAR}.`,
    );
  }
  if (colon < 0) throw new InputError(`${where}: "${name}" needs an amount: ${AMOUNTS}.`);
  const rule: PruneRule = {
    granularity,
    amount: parseAmount(head.slice(colon + 1), where),
    ...parseOptions(options, where),
  };
  checkRule(rule, where);
  return { pattern, rule };
}

/**
 * Reads an amount: `40`, `5%` or `2:4`.
 *
 * @param where what the text belongs to, to open the message of an error with: `--keep`.
 * @throws InputError if it is none of these, or out of range.
 */
export function parseAmount(text: string, where: string): Amount {
  const amount = amountOf(text.trim());
  if (amount === undefined) {
    const hint = /^0?\.\d+$/.test(text)
      ? ` For a fraction write a percentage: ${formatShare(Number(text))}.`
      : "";
    throw new InputError(`${where}: expected ${AMOUNTS}, got "${text}".${hint}`);
  }
  checkAmount(amount, where);
  return amount;
}

function amountOf(text: string): Amount | undefined {
  if (/^-?\d+$/.test(text)) return { k: Number(text) };
  if (/^-?(\d+\.?\d*|\.\d+)(e-?\d+)?%$/.test(text)) return { keep: Number(text.slice(0, -1)) / 100 };
  const tile = /^(\d+):(\d+)$/.exec(text);
  return tile === null ? undefined : { tile: [Number(tile[1]), Number(tile[2])] };
}

function parseOptions(options: readonly string[], where: string): { per?: "kernel"; share?: number } {
  let per: "kernel" | undefined;
  let share: number | undefined;
  for (const option of options) {
    const colon = option.indexOf(":");
    const name = colon < 0 ? option : option.slice(0, colon);
    const value = colon < 0 ? "" : option.slice(colon + 1);
    if ((name === "per" && per !== undefined) || (name === "share" && share !== undefined)) {
      throw new InputError(`${where}: option "${name}" is given twice.`);
    }
    if (name === "per") {
      if (value !== "kernel") {
        throw new InputError(`${where}: option "per" takes "kernel" alone (per:kernel), got "${value}".`);
      }
      per = value;
    } else if (name === "share") {
      if (!/^-?\d+$/.test(value)) {
        throw new InputError(
          `${where}: option "share" takes a number of output channels (share:4), got "${value}".`,
        );
      }
      share = Number(value);
    } else {
      throw new InputError(`${where}: unknown option "${option}". Options: per:kernel, share:COUNT.`);
    }
  }
  return { ...(per === undefined ? {} : { per }), ...(share === undefined ? {} : { share }) };
}

/** Checks what can be checked without knowing the layer. */
function checkRule(rule: PruneRule, where: string): void {
  const { granularity, amount, per, share } = rule;
  if (!GRANULARITIES.includes(granularity)) {
    throw new InputError(
      `${where}: unknown granularity "${granularity}". Expected ${GRANULARITIES.join(", ")} or none.`,
    );
  }
  checkAmount(amount, where);
  if ("tile" in amount && granularity !== "weights") {
    throw new InputError(
      `${where}: ${amount.tile.join(":")} tiles are of single weights. Use granularity weights, or a count or a percentage of the ${granularity}.`,
    );
  }
  if (per !== undefined && granularity !== "weights") {
    throw new InputError(`${where}: per:kernel goes with granularity weights, not with ${granularity}.`);
  }
  if (per !== undefined && "tile" in amount) {
    throw new InputError(
      `${where}: per:kernel does not go with tiles, which are groups already. Leave one out.`,
    );
  }
  if (share !== undefined && granularity === "maps") {
    throw new InputError(
      `${where}: share goes with weights and kernels, where output channels have masks to share; with maps the channels themselves are kept or removed.`,
    );
  }
  if (share !== undefined && !(Number.isSafeInteger(share) && share >= 1)) {
    throw new InputError(`${where}: share is a number of output channels, at least 1, got ${share}.`);
  }
}

function checkAmount(amount: Amount, where: string): void {
  if ("keep" in amount) {
    if (amount.keep > 0 && amount.keep <= 1) return;
    throw new InputError(
      `${where}: expected a share above 0 % and at most 100 %, got ${formatShare(amount.keep)}.`,
    );
  }
  const k = "k" in amount ? amount.k : amount.tile[0];
  if (k === 0) throw new InputError(`${where}: k = 0 would keep nothing. The smallest k is 1.`);
  if (!Number.isSafeInteger(k) || k < 0)
    throw new InputError(`${where}: k is a whole number above 0, got ${k}.`);
  if ("k" in amount) return;
  const n = amount.tile[1];
  if (!Number.isSafeInteger(n)) throw new InputError(`${where}: n is a whole number above 0, got ${n}.`);
  if (k > n) throw new InputError(`${where}: k = ${k} is more than n = ${n}. Tiles are written k:n.`);
}

/**
 * The rule as the command line writes it: "weights:5%,share:4".
 *
 * `parsePrune` reads it back, percentages to 15 digits.
 *
 * @example
 * formatRule(weights({ keep: 0.05, share: 4 })); // "weights:5%,share:4"
 */
export function formatRule(rule: PruneRule | "none"): string {
  if (rule === "none") return rule;
  const options = [
    ...(rule.per === undefined ? [] : [`per:${rule.per}`]),
    ...(rule.share === undefined ? [] : [`share:${rule.share}`]),
  ];
  return [`${rule.granularity}:${formatAmount(rule.amount)}`, ...options].join(",");
}

/** The amount as the command line writes it: "40", "5%", "2:4". */
export function formatAmount(amount: Amount): string {
  if ("k" in amount) return String(amount.k);
  return "keep" in amount ? formatShare(amount.keep) : amount.tile.join(":");
}

/** A fraction as the command line writes it: "5%". */
export function formatShare(share: number): string {
  return `${Number((share * 100).toPrecision(15))}%`;
}

/**
 * What a spec means for the layers of a model: for each layer that a rule applies to, its R groups of n units, of which
 * k are kept. The last entry whose pattern matches a layer decides; layers that no entry matches stay dense and are left out,
 * as are those with the rule "none". k = n is allowed and means dense.
 *
 * | granularity | unit | groups | n |
 * |---|---|---|---|
 * | weights | one weight | Cout / share | fan-in: Cin / group * K |
 * | weights, per kernel | one weight | Cout / share * Cin / group | K |
 * | weights, tile k:n | one weight | Cout / share * fan-in / n | n |
 * | kernels | one kernel | Cout / share | Cin / group |
 * | maps | one output channel | 1 | Cout |
 *
 * K is the product of the kernel's dimensions (1 for Gemm and MatMul).
 *
 * @param layers all prunable layers of the model, the last one being the classifier.
 * @param keep applies to the single weights of all layers but the last; entries of `spec` win over it.
 * @throws InputError if a pattern matches no layer (nor module), or a rule can't be applied to a layer that it is for.
 * @example
 * resolvePrune(prunableLayers(model.graph), { fc1: weights({ k: 40 }) }); // [{ name: "fc1", groups: 300, n: 784, k: 40, ... }]
 */
export function resolvePrune(
  layers: readonly PrunableLayer[],
  spec: PruneSpec,
  keep?: Amount,
): PrunedLayer[] {
  const chosen = new Map<string, { rule: PruneRule | "none"; where: string }>();
  if (keep !== undefined) {
    const where = `keep ${formatAmount(keep)}`;
    checkAmount(keep, where);
    if (layers.length < 2) {
      throw new InputError(
        `${where}: applies to all layers but the last, and the model has ${layers.length === 0 ? "no prunable layer" : `no layer besides "${layers[0].name}"`}. Name what to prune in a prune spec.`,
      );
    }
    for (const layer of layers.slice(0, -1)) {
      chosen.set(layer.name, { rule: { granularity: "weights", amount: keep }, where });
    }
  }
  for (const [pattern, rule] of entriesOf(spec)) {
    const where = `prune spec "${pattern}=${formatRule(rule)}"`;
    if (rule !== "none") checkRule(rule, where);
    const matched = layersNamed(pattern, layers);
    if (matched.length === 0)
      throw new InputError(`${where}: no layer matches "${pattern}". ${listed(layers)}`);
    for (const layer of matched) chosen.set(layer.name, { rule, where });
  }
  const pruned: PrunedLayer[] = [];
  for (const layer of layers) {
    const choice = chosen.get(layer.name);
    if (choice === undefined || choice.rule === "none") continue;
    pruned.push(resolveLayer(layer, choice.rule, choice.where, layer === layers.at(-1)));
  }
  return pruned;
}

/** The entries of a spec, in the order in which they apply. */
export function entriesOf(spec: PruneSpec): (readonly [pattern: string, rule: PruneRule | "none"])[] {
  return isMap(spec) ? [...spec] : Object.entries(spec);
}

function isMap(spec: PruneSpec): spec is ReadonlyMap<string, PruneRule | "none"> {
  return spec instanceof Map;
}

/** What a rule means for one layer: {@link resolvePrune} for a layer alone. */
export function resolveLayer(
  layer: PrunableLayer,
  rule: PruneRule,
  where: string,
  last: boolean,
): PrunedLayer {
  const { granularity, amount, per, share = 1 } = rule;
  const [outputs, inputs, kernel] = canonicalDims(layer);
  const at = `${where}: layer "${layer.name}" (weight [${layer.dims.join(", ")}])`;
  if (layer.dims.length === 2 && (granularity === "kernels" || per === "kernel")) {
    const instead =
      granularity === "kernels" ? "Use weights or maps for it" : "Use weights without per:kernel for it";
    throw new InputError(
      `${at} is a matrix and has no kernels. ${instead}, or a pattern that leaves it out.`,
    );
  }
  if (granularity === "maps" && last) {
    throw new InputError(
      `${at} is the last one, and its maps are the model's outputs: removing some would remove classes. Use weights for it, or a pattern that leaves it out.`,
    );
  }
  if (outputs % share !== 0) {
    throw new InputError(`${at} has ${outputs} output channels, which share:${share} does not divide.`);
  }
  const blocks = outputs / share;
  const fanIn = inputs * kernel;
  const [groups, n, units] = ((): [number, number, string] => {
    if (granularity === "maps") return [1, outputs, "output channels"];
    if (granularity === "kernels") return [blocks, inputs, "kernels per output channel"];
    if ("tile" in amount) return [(blocks * fanIn) / amount.tile[1], amount.tile[1], "weights per tile"];
    if (per === "kernel") return [blocks * inputs, kernel, "weights per kernel"];
    return [blocks, fanIn, "weights per output channel"];
  })();
  if ("tile" in amount && fanIn % n !== 0) {
    throw new InputError(`${at} has ${fanIn} weights per output channel, which tiles of ${n} do not divide.`);
  }
  const k = kOf(amount, n);
  if (k > n) throw new InputError(`${at} has ${n} ${units}, fewer than k = ${k}.`);
  return { ...layer, granularity, ...(per === undefined ? {} : { per }), share, groups, n, k };
}

/** The k that an amount means for groups of n units. */
export function kOf(amount: Amount, n: number): number {
  if ("k" in amount) return amount.k;
  return "tile" in amount ? amount.tile[0] : Math.max(1, Math.round(amount.keep * n));
}
