/** The words that stand in files of a run: granularities, formats, providers. */

export const PROVIDERS = ["cpu", "wasm", "webgpu", "cuda"] as const;

/** Where onnxruntime computes. This version runs on "cpu" (onnxruntime-node) and "wasm" (onnxruntime-web). */
export type Provider = (typeof PROVIDERS)[number];

export const GRANULARITIES = ["weights", "kernels", "maps"] as const;

/** What one prunable unit is. */
export type Granularity = (typeof GRANULARITIES)[number];

export const ALLOCATIONS = ["erk", "uniform"] as const;

/**
 * How a budget is shared out among layers: by Erdos-Renyi-Kernel, which keeps more of small layers than of large ones, or the same
 * share of each.
 */
export type Allocation = (typeof ALLOCATIONS)[number];

export const METHODS = [
  "dpp",
  "random",
  "magnitude",
  "l2",
  "gradual",
  "snip",
  "set",
  "rigl",
  "dense",
] as const;

/** How a run chooses its masks: learned by Dynamic Probabilistic Pruning, by one of the methods that others use, or no masks. */
export type Method = (typeof METHODS)[number];

export const WEIGHT_FORMATS = [
  "binary",
  "ternary",
  "int2",
  "int3",
  "int4",
  "int5",
  "int6",
  "int7",
  "int8",
] as const;

/**
 * The values of a weight: scale * code, with codes -1 and 1 (binary), -1 to 1 (ternary), or -(2^(b-1) - 1) to
 * 2^(b-1) - 1 (int2 to int8).
 */
export type WeightFormat = (typeof WEIGHT_FORMATS)[number];

export const ACTIVATION_FORMATS = ["uint8", "int8", "binary"] as const;

/** The values of an activation: scale * (code - zero point), with codes 0 to 255, -128 to 127, or 0 and 1 (binary). */
export type ActivationFormat = (typeof ACTIVATION_FORMATS)[number];
