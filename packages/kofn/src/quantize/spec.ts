/** Says what to quantize: the command line's grammar, the library's constructors, and what a spec means for layers. */

import {
  ACTIVATION_FORMATS,
  type ActivationFormat,
  WEIGHT_FORMATS,
  type WeightFormat,
} from "@kofn/format/run/words.js";
import { InputError } from "../errors.js";
import { layersNamed, listed } from "../layers/match.js";
import type { PrunableLayer } from "../layers/types.js";
import {
  type ActivationRule,
  QUANTIZE_METHODS,
  type QuantizeMethod,
  type QuantizeRule,
  type QuantizeSpec,
  type WeightRule,
} from "./types.js";

const GRAMMAR = "LAYER=FORMAT[,method:NAME], such as fc1=int4, or activations=FORMAT, or LAYER=none";
/** The name that stands for the activations that layers read. */
const ACTIVATIONS = "activations";

/** Options of a rule for weights. */
interface WeightOptions {
  /** Default "lsq". */
  readonly method?: QuantizeMethod;
}

/**
 * Weights of two values for each output channel, -scale and scale.
 *
 * @throws InputError if an option is none of the allowed ones.
 * @example
 * train({ model, data, quantize: { fc1: binary(), activations: uint8() } });
 */
export function binary(options: WeightOptions = {}): WeightRule & { readonly format: "binary" } {
  return constructed("binary", options);
}

/**
 * Weights of three values for each output channel: -scale, 0 and scale.
 *
 * @throws InputError if an option is none of the allowed ones.
 * @example
 * ternary();
 */
export function ternary(options: WeightOptions = {}): WeightRule & { readonly format: "ternary" } {
  return constructed("ternary", options);
}

/**
 * Weights of 2 to 8 bits, symmetric, with a scale for each output channel.
 *
 * @throws InputError unless `bits` is a whole number from 2 to 8.
 * @example
 * int(4, { method: "dpp" }); // { format: "int4", method: "dpp" }
 */
export function int(bits: number, options: WeightOptions = {}): WeightRule {
  const format = WEIGHT_FORMATS.find((known) => known === `int${bits}`);
  if (format === undefined) throw new InputError(`int(${bits}): ${BITS}`);
  return constructed(format, options);
}

/**
 * Weights, or activations, of 8 bits.
 *
 * @throws InputError if an option is none of the allowed ones.
 * @example
 * train({ model, data, quantize: { "*": int8(), activations: int8() } });
 */
export function int8(options: WeightOptions = {}): WeightRule & { readonly format: "int8" } {
  return constructed("int8", options);
}

/**
 * Activations of 8 bits.
 *
 * @example
 * train({ model, data, quantize: { "*": int8(), activations: uint8() } });
 */
export function uint8(): ActivationRule & { readonly format: "uint8" } {
  return { format: "uint8" };
}

function constructed<F extends WeightFormat>(
  format: F,
  { method }: WeightOptions,
): WeightRule & { readonly format: F } {
  const rule = { format, ...(method === undefined ? {} : { method }) };
  checkWeightRule(rule, `${format}(${JSON.stringify({ method })})`);
  return rule;
}

/**
 * Reads one `--quantize` argument: `LAYER=FORMAT[,method:NAME]`, `activations=FORMAT`, `activations.LAYER=FORMAT`, or any of
 * them with the format `none`.
 *
 * LAYER is a glob over layer names (`*` any text, `?` one character). Formats of weights are binary, ternary and int2 to
 * int8, those of activations uint8, int8 and binary. Methods, of weights alone: lsq and dpp.
 *
 * @throws InputError naming what is wrong and what is allowed.
 * @example
 * parseQuantize("fc*=int4,method:dpp"); // { pattern: "fc*", rule: { format: "int4", method: "dpp" } }
 */
export function parseQuantize(text: string): { pattern: string; rule: QuantizeRule } {
  const where = `quantize spec "${text}"`;
  const equals = text.lastIndexOf("=");
  const pattern = text.slice(0, Math.max(equals, 0)).trim();
  const [format, ...options] = text
    .slice(equals + 1)
    .split(",")
    .map((part) => part.trim());
  if (pattern === "" || format === "") throw new InputError(`${where}: expected ${GRAMMAR}.`);
  if (format === "none") {
    if (options.length > 0)
      throw new InputError(`${where}: "none" takes no options, got "${options.join(",")}".`);
    return { pattern, rule: "none" };
  }
  const rule = { format, ...parseOptions(options, where) };
  return { pattern, rule: checkedRule(pattern, rule, where) };
}

function parseOptions(options: readonly string[], where: string): { method?: string } {
  let method: string | undefined;
  for (const option of options) {
    const [name, ...values] = option.split(":");
    if (name !== "method" || values.length !== 1) {
      throw new InputError(
        `${where}: unknown option "${option}". Options: method:${QUANTIZE_METHODS.join(", method:")}.`,
      );
    }
    if (method !== undefined) throw new InputError(`${where}: option "method" is given twice.`);
    [method] = values;
  }
  return method === undefined ? {} : { method };
}

interface AnyRule {
  readonly format: string;
  readonly method?: string;
}

/** The rule, if it is one of what the pattern stands for. */
function checkedRule(pattern: string, rule: AnyRule, where: string): WeightRule | ActivationRule {
  if (layersOfActivations(pattern) === undefined) {
    checkWeightRule(rule, where);
    return rule;
  }
  checkActivationRule(rule, where);
  return rule;
}

const BITS = "weights have 2 to 8 bits (int2 to int8), or are binary or ternary.";

function checkWeightRule(rule: AnyRule, where: string): asserts rule is WeightRule {
  const { format, method } = rule;
  if (!isOneOf(WEIGHT_FORMATS, format)) {
    const instead = format === "uint8" ? " uint8 is for activations (activations=uint8); use int8." : "";
    const bits = /^u?int\d+$/.test(format) && instead === "" ? ` ${BITS}` : "";
    throw new InputError(
      `${where}: unknown format "${format}" of weights. Expected ${WEIGHT_FORMATS.join(", ")} or none.${instead}${bits}`,
    );
  }
  if (method === undefined) return;
  if (!isOneOf(QUANTIZE_METHODS, method)) {
    throw new InputError(`${where}: unknown method "${method}". Expected ${QUANTIZE_METHODS.join(" or ")}.`);
  }
  if (method === "dpp" && format === "ternary") {
    throw new InputError(
      `${where}: the method dpp has binary weights and weights of 2 to 8 bits, and no ternary ones. Use ternary with the method lsq, or int2.`,
    );
  }
}

function checkActivationRule(rule: AnyRule, where: string): asserts rule is ActivationRule {
  const { format, method } = rule;
  if (!isOneOf(ACTIVATION_FORMATS, format)) {
    throw new InputError(
      `${where}: unknown format "${format}" of activations. Expected ${ACTIVATION_FORMATS.join(", ")} or none.`,
    );
  }
  if (method !== undefined) {
    throw new InputError(`${where}: methods are for weights; the range of activations is always learned.`);
  }
}

function isOneOf<T extends string>(known: readonly T[], value: string): value is T {
  return (known as readonly string[]).includes(value);
}

/** The layers whose activations a pattern stands for: a glob, "" for all that are not exempt; undefined if it is of weights. */
function layersOfActivations(pattern: string): string | undefined {
  if (pattern === ACTIVATIONS) return "";
  return pattern.startsWith(`${ACTIVATIONS}.`) ? pattern.slice(ACTIVATIONS.length + 1) : undefined;
}

/**
 * The rule as the command line writes it: "int4,method:dpp". `parseQuantize` reads it back.
 *
 * @example
 * formatQuantizeRule(int(4, { method: "dpp" })); // "int4,method:dpp"
 */
export function formatQuantizeRule(rule: QuantizeRule): string {
  if (rule === "none") return rule;
  return "method" in rule ? `${rule.format},method:${rule.method}` : rule.format;
}

/** The entries of a spec, in the order in which they apply. */
export function quantizeEntries(spec: QuantizeSpec): (readonly [pattern: string, rule: QuantizeRule])[] {
  return spec instanceof Map ? [...(spec as ReadonlyMap<string, QuantizeRule>)] : Object.entries(spec);
}

/** How one layer is quantized. */
export interface LayerQuantization {
  readonly layer: PrunableLayer;
  /** Of its weights. */
  readonly weights?: Required<WeightRule>;
  /** Of the activations that it reads. */
  readonly activations?: ActivationFormat;
}

/** What a spec means for the layers of a model. */
export interface ResolvedQuantization {
  /** The layers of which something is quantized. */
  readonly layers: readonly LayerQuantization[];
  /** The names of the layers that a rule of activations left out because they are the first or the last. */
  readonly exempt: readonly string[];
}

/**
 * What a spec means for the layers of a model: the last entry whose pattern matches a layer decides, for its weights and for the
 * activations that it reads. `activations` alone leaves out the first and the last layer, which read the images and make
 * the logits; `activations.GLOB` names any.
 *
 * @param layers all layers of the model that have weights.
 * @throws InputError if a pattern matches no layer, or a rule is none of what its pattern stands for.
 * @example
 * resolveQuantize(prunableLayers(model.graph), { "*": int8(), activations: uint8() }).exempt; // ["fc1", "fc3"]
 */
export function resolveQuantize(layers: readonly PrunableLayer[], spec: QuantizeSpec): ResolvedQuantization {
  const weights = new Map<PrunableLayer, QuantizeRule>();
  const activations = new Map<PrunableLayer, QuantizeRule>();
  const ends = new Set([layers.at(0), layers.at(-1)]);
  const exempt = new Set<PrunableLayer>();
  for (const [pattern, rule] of quantizeEntries(spec)) {
    const where = `quantize spec "${pattern}=${formatQuantizeRule(rule)}"`;
    if (rule !== "none") checkedRule(pattern, rule, where);
    const read = layersOfActivations(pattern);
    if (read === "") {
      for (const layer of layers) {
        activations.set(layer, ends.has(layer) ? "none" : rule);
        if (ends.has(layer) && rule !== "none") exempt.add(layer);
      }
      continue;
    }
    const matched = layersNamed(read ?? pattern, layers);
    if (matched.length === 0) {
      throw new InputError(`${where}: no layer with weights matches "${read ?? pattern}". ${listed(layers)}`);
    }
    for (const layer of matched) {
      (read === undefined ? weights : activations).set(layer, rule);
      if (read !== undefined) exempt.delete(layer);
    }
  }
  const resolved = layers.map((layer): LayerQuantization => {
    const ofWeights = weights.get(layer) ?? "none";
    const ofActivations = activations.get(layer) ?? "none";
    return {
      layer,
      ...(ofWeights === "none" ? {} : { weights: { method: "lsq", ...(ofWeights as WeightRule) } }),
      ...(ofActivations === "none" ? {} : { activations: (ofActivations as ActivationRule).format }),
    };
  });
  return {
    layers: resolved.filter((one) => one.weights !== undefined || one.activations !== undefined),
    exempt: [...exempt].map(({ name }) => name),
  };
}
